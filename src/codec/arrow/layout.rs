//! Which buffers of a batch hold offsets, and how wide those are: Arrow's decoder stops with a
//! panic at a run of offsets that is no whole number of them.

use arrow_ipc::MetadataVersion;
use arrow_schema::{DataType, Schema, UnionMode};

/// For each buffer of a batch, in order, the bytes that its length is a multiple of
/// (Arrow columnar format, "Buffer Listing for Each Layout").
#[derive(Debug)]
pub(super) struct Widths {
    widths: Vec<usize>,
    /// No batch has more buffers: how far a count from outside is followed.
    most: usize,
    /// How many buffers each view column has, as the batch tells it.
    view_counts: Vec<i64>,
    views: usize,
    version: MetadataVersion,
}

const BYTES: usize = 1;
const OFFSETS: usize = size_of::<i32>();
const LARGE_OFFSETS: usize = size_of::<i64>();

impl Widths {
    /// The widths for a batch of `most` buffers; fewer or more than `most` where the batch does
    /// not fit its schema, which the decoder then finds.
    pub(super) fn of(
        schema: &Schema,
        version: MetadataVersion,
        view_counts: Vec<i64>,
        most: usize,
    ) -> Vec<usize> {
        let widths = Vec::with_capacity(most);
        let mut walk = Widths { widths, most, view_counts, views: 0, version };
        for field in schema.fields() {
            walk.add(field.data_type());
        }
        walk.widths
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest are validity and values")]
    fn add(&mut self, data_type: &DataType) {
        match data_type {
            DataType::Null => {}
            DataType::Utf8 | DataType::Binary => self.widths.extend([BYTES, OFFSETS, BYTES]),
            DataType::LargeUtf8 | DataType::LargeBinary => {
                self.widths.extend([BYTES, LARGE_OFFSETS, BYTES]);
            }
            DataType::Utf8View | DataType::BinaryView => self.add_views(),
            DataType::List(child) | DataType::Map(child, _) => {
                self.widths.extend([BYTES, OFFSETS]);
                self.add(child.data_type());
            }
            DataType::LargeList(child) => {
                self.widths.extend([BYTES, LARGE_OFFSETS]);
                self.add(child.data_type());
            }
            DataType::ListView(child) | DataType::LargeListView(child) => {
                self.widths.extend([BYTES; 3]);
                self.add(child.data_type());
            }
            DataType::FixedSizeList(child, _) => {
                self.widths.push(BYTES);
                self.add(child.data_type());
            }
            DataType::Struct(children) => {
                self.widths.push(BYTES);
                children.iter().for_each(|child| self.add(child.data_type()));
            }
            DataType::RunEndEncoded(ends, values) => {
                self.add(ends.data_type());
                self.add(values.data_type());
            }
            DataType::Union(children, mode) => {
                let validity = usize::from(self.version < MetadataVersion::V5);
                let offsets = usize::from(*mode == UnionMode::Dense);
                self.widths.extend(std::iter::repeat_n(BYTES, validity + 1 + offsets));
                children.iter().for_each(|(_, child)| self.add(child.data_type()));
            }
            _ => self.widths.extend([BYTES; 2]),
        }
    }

    /// Validity, views, and as many buffers of text as the batch tells.
    fn add_views(&mut self) {
        let told = self.view_counts.get(self.views).copied().unwrap_or(0);
        self.views += 1;
        let room = self.most.saturating_sub(self.widths.len());
        let count = usize::try_from(told).unwrap_or(0).saturating_add(2).min(room);
        self.widths.extend(std::iter::repeat_n(BYTES, count));
    }
}
