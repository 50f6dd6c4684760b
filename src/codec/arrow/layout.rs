//! Which column each buffer of a batch belongs to, and which hold offsets, keys or views: Arrow's
//! decoder stops with a panic at a run of those that is no whole number of them.

use arrow_ipc::MetadataVersion;
use arrow_schema::{DataType, Schema, UnionMode};

/// One buffer's place in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    /// The bytes that its length is a multiple of.
    pub(super) width: usize,
    /// Whether its column is wanted, and with it the buffer decoded.
    pub(super) wanted: bool,
}

const BYTES: usize = 1;
const OFFSETS: usize = size_of::<i32>();
const LARGE_OFFSETS: usize = size_of::<i64>();
const VIEWS: usize = size_of::<u128>();

/// The slots of a batch's buffers, in order (Arrow columnar format, "Buffer Listing for Each
/// Layout"); fewer or more than there are where the batch does not fit its schema, which the
/// decoder then finds.
pub(super) fn slots(
    schema: &Schema,
    version: MetadataVersion,
    batch: arrow_ipc::RecordBatch<'_>,
    is_wanted: impl Fn(usize) -> bool,
) -> Vec<Slot> {
    let most = batch.buffers().map_or(0, |list| list.len());
    let view_counts = batch.variadicBufferCounts().into_iter().flatten().collect();
    let slots = Vec::with_capacity(most);
    let mut walk = Walk { slots, wanted: false, most, view_counts, views: 0, version };
    for (column, field) in schema.fields().iter().enumerate() {
        walk.wanted = is_wanted(column);
        walk.add(field.data_type());
    }
    walk.slots
}

struct Walk {
    slots: Vec<Slot>,
    /// Whether the present column is.
    wanted: bool,
    /// No batch has more buffers: how far a count from outside is followed.
    most: usize,
    /// How many buffers each view column has, as the batch tells it.
    view_counts: Vec<i64>,
    views: usize,
    version: MetadataVersion,
}

impl Walk {
    fn push<const N: usize>(&mut self, widths: [usize; N]) {
        let wanted = self.wanted;
        self.slots.extend(widths.map(|width| Slot { width, wanted }));
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest are validity and values")]
    fn add(&mut self, data_type: &DataType) {
        match data_type {
            DataType::Null => {}
            DataType::Utf8 | DataType::Binary => self.push([BYTES, OFFSETS, BYTES]),
            DataType::LargeUtf8 | DataType::LargeBinary => {
                self.push([BYTES, LARGE_OFFSETS, BYTES]);
            }
            DataType::Utf8View | DataType::BinaryView => self.add_views(),
            DataType::List(child) | DataType::Map(child, _) => {
                self.push([BYTES, OFFSETS]);
                self.add(child.data_type());
            }
            DataType::LargeList(child) => {
                self.push([BYTES, LARGE_OFFSETS]);
                self.add(child.data_type());
            }
            DataType::ListView(child) | DataType::LargeListView(child) => {
                self.push([BYTES; 3]);
                self.add(child.data_type());
            }
            DataType::FixedSizeList(child, _) => {
                self.push([BYTES]);
                self.add(child.data_type());
            }
            DataType::Struct(children) => {
                self.push([BYTES]);
                children.iter().for_each(|child| self.add(child.data_type()));
            }
            DataType::RunEndEncoded(ends, values) => {
                self.add(ends.data_type());
                self.add(values.data_type());
            }
            DataType::Union(children, mode) => {
                if self.version < MetadataVersion::V5 {
                    self.push([BYTES]);
                }
                self.push([BYTES]);
                if *mode == UnionMode::Dense {
                    self.push([BYTES]);
                }
                children.iter().for_each(|(_, child)| self.add(child.data_type()));
            }
            DataType::Dictionary(keys, _) => {
                self.push([BYTES, keys.primitive_width().unwrap_or(BYTES)]);
            }
            _ => self.push([BYTES; 2]),
        }
    }

    /// Validity, views, and as many buffers of text as the batch tells.
    fn add_views(&mut self) {
        let told = self.view_counts.get(self.views).copied().unwrap_or(0);
        self.views += 1;
        self.push([BYTES, VIEWS]);
        let room = self.most.saturating_sub(self.slots.len());
        for _ in 0..usize::try_from(told).unwrap_or(0).min(room) {
            self.push([BYTES]);
        }
    }
}
