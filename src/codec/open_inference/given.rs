//! One input of a request: its shape, and its values from JSON or binary form.

use super::binary::{self, Unsound};
use super::datatype::datatype;
use super::head::InputHead;
use crate::codec::decoded::Values;
use crate::codec::limits::{NESTING_MAX, VALUES_MAX};
use crate::codec::records::values;
use crate::tensor::{Data, ElementType, Misfit, MisfitKind, Port, RowShape};
use arrow_buffer::Buffer;

/// Characters of a client's text that an error repeats: enough to recognise it by.
const ECHO_CHARS_MAX: usize = 100;

/// A client's text, cut to a length for a sentence.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(ECHO_CHARS_MAX).collect()
}

/// A tensor of the request.
pub(super) struct Given {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) values: Values,
}

/// What of a request is not read yet, and how much may be.
pub(super) struct Reading {
    /// The binary form of the inputs to come.
    pub(super) rest: Buffer,
    pub(super) values_left: usize,
}

impl Reading {
    pub(super) fn tensor(&mut self, input: InputHead<'_>, port: &Port) -> Result<Given, Misfit> {
        let InputHead { name, shape, datatype: told, parameters, data } = input;
        let place = Place { name: &name };
        if told != datatype(port.element) {
            return Err(place.wrong_type(&told, port.element));
        }
        let (shape, elements) = place.shape(&shape.items, shape.is_over)?;
        self.values_left = self.values_left.checked_sub(elements).ok_or_else(|| {
            let what = format!("with it the request has more than {VALUES_MAX} values");
            place.misfit(MisfitKind::OverLimit, what)
        })?;
        let parameters = parameters.unwrap_or_default();
        if parameters.shared_memory_region.is_some() {
            let what = "it lies in shared memory, which is not known here: send its data";
            return Err(place.misfit(MisfitKind::Unreadable, what));
        }
        let values = match (data, parameters.binary_data_size) {
            (Some(data), None) => {
                Values::Owned(place.json(data.get(), &shape, elements, port.element)?)
            }
            (None, Some(size)) => self.binary(place, size, elements, port.element)?,
            (Some(_), Some(_)) => {
                let what = "it has both `data` and `binary_data_size`";
                return Err(place.misfit(MisfitKind::Unreadable, what));
            }
            (None, None) => {
                let what = "it has neither `data` nor `binary_data_size`";
                return Err(place.misfit(MisfitKind::Null, what));
            }
        };
        Ok(Given { name, shape, values })
    }

    fn binary(
        &mut self,
        place: Place<'_>,
        size: usize,
        elements: usize,
        element: ElementType,
    ) -> Result<Values, Misfit> {
        if self.rest.len() < size {
            let left = self.rest.len();
            let what = format!(
                "its `binary_data_size` is {size} where {left} bytes are left of the body; is the \
                 header Inference-Header-Content-Length there?"
            );
            return Err(place.misfit(MisfitKind::WrongShape, what));
        }
        let bytes = self.rest.slice_with_length(0, size);
        self.rest = self.rest.slice(size);
        binary::read(&bytes, element, elements).map_err(|unsound| place.unsound(unsound))
    }
}

/// The input that a misfit is about.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
}

impl Place<'_> {
    pub(super) fn misfit(self, kind: MisfitKind, what: impl std::fmt::Display) -> Misfit {
        Misfit::new(kind, format!("input `{}`: {what}", self.name)).column(self.name)
    }

    pub(super) fn unsound(self, unsound: Unsound) -> Misfit {
        self.misfit(unsound.kind, unsound.what)
    }

    fn wrong_type(self, told: &str, element: ElementType) -> Misfit {
        let found = shown(told);
        let taken = datatype(element);
        let what = format!("its datatype is `{found}`, the model takes `{taken}`");
        self.misfit(MisfitKind::WrongType, what).expected(taken, found)
    }

    /// The shape and the product of its extents.
    fn shape(self, told: &[i64], is_over: bool) -> Result<(Vec<usize>, usize), Misfit> {
        if is_over {
            let what = format!("its shape has more than {NESTING_MAX} dimensions");
            return Err(self.misfit(MisfitKind::OverLimit, what));
        }
        let shape = told.iter().map(|extent| usize::try_from(*extent).ok());
        let shape = shape.collect::<Option<Vec<usize>>>().ok_or_else(|| {
            let what = format!("its shape {told:?} has a negative extent");
            self.misfit(MisfitKind::WrongShape, what)
        })?;
        let product =
            shape.iter().try_fold(1_usize, |product, extent| product.checked_mul(*extent));
        let elements = product.filter(|elements| *elements <= VALUES_MAX).ok_or_else(|| {
            let what = format!("its shape {shape:?} has more than {VALUES_MAX} values");
            self.misfit(MisfitKind::OverLimit, what)
        })?;
        Ok((shape, elements))
    }

    fn json(
        self,
        text: &str,
        shape: &[usize],
        elements: usize,
        element: ElementType,
    ) -> Result<Data<'static>, Misfit> {
        let (lists, data) = values::read(text, element, VALUES_MAX).map_err(|unfit| {
            let mut misfit = self.misfit(unfit.kind, unfit.what);
            (misfit.expected, misfit.found) = (unfit.expected, unfit.found);
            misfit
        })?;
        let (fits, found) = match &lists {
            RowShape::Flat(length) => (*length == elements, format!("{length} values")),
            RowShape::Told(lists) => (lists == shape, format!("values of shape {lists:?}")),
        };
        if fits {
            return Ok(data);
        }
        let expected = format!("{elements} values of shape {shape:?}");
        let what = format!("its data are {found}, its shape is {shape:?}");
        Err(self.misfit(MisfitKind::WrongShape, what).expected(expected, found))
    }
}
