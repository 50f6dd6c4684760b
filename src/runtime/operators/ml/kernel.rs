//! What an operator of `ai.onnx.ml` has to say about itself, and the one door through which tract sees it.

use std::fmt::Debug;
use std::sync::Arc;
use tract_onnx::prelude::tract_ndarray::ArrayD;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_hir::internal::{
    Expansion, InferenceResult, Solver, TensorProxy, check_input_arity,
};

/// Type and shape of one input or output.
#[derive(Debug, Clone)]
pub(in super::super) struct Wire {
    pub(in super::super) element: DatumType,
    pub(in super::super) shape: TVec<TDim>,
}

impl Wire {
    pub(in super::super) fn new(element: DatumType, shape: impl IntoIterator<Item = TDim>) -> Wire {
        Wire { element, shape: shape.into_iter().collect() }
    }

    /// Rows and columns: the domain takes a single dimension as one row.
    pub(in super::super) fn rows_and_columns(&self) -> TractResult<(TDim, TDim)> {
        match &*self.shape {
            [columns] => Ok((1.to_dim(), columns.clone())),
            [rows, columns] => Ok((rows.clone(), columns.clone())),
            shape => bail!("expected one or two dimensions, found {}", shape.len()),
        }
    }

    /// The rows, when these columns are as many as `wanted`, as far as it is known.
    pub(in super::super) fn rows_of(&self, wanted: usize) -> TractResult<TDim> {
        let (rows, columns) = self.rows_and_columns()?;
        if let Ok(columns) = columns.to_usize() {
            ensure!(columns == wanted, "a row has {columns} values, and the model wants {wanted}");
        }
        Ok(rows)
    }
}

/// An operator whose attributes were read and found sound.
pub(in super::super) trait Kernel: Debug + Send + Sync + 'static {
    /// The operator's name in the specification.
    fn name(&self) -> &'static str;

    /// Types and shapes of all outputs; an error for inputs that the specification does not allow.
    ///
    /// tract has a type of its own for integers that come from shapes; here they are `int64`.
    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>>;

    /// Computes all outputs.
    fn run(&self, inputs: &[Arc<Tensor>]) -> TractResult<TVec<Tensor>>;

    /// Whether how many values come out is only known when they are there.
    fn mints_symbols(&self) -> bool {
        false
    }

    /// Another kernel for these types of inputs, where one is better than this.
    fn settled(&self, _inputs: &[DatumType]) -> TractResult<Option<Arc<dyn Kernel>>> {
        Ok(None)
    }
}

/// A kernel as tract's graph holds it, with the outputs that the node names: others may be left out.
#[derive(Debug, Clone)]
pub(in super::super) struct MlOp {
    pub(in super::super) kernel: Arc<dyn Kernel>,
    pub(in super::super) kept: TVec<usize>,
}

impl PartialEq for MlOp {
    fn eq(&self, other: &MlOp) -> bool {
        Arc::ptr_eq(&self.kernel, &other.kernel) && self.kept == other.kept
    }
}

impl Eq for MlOp {}

impl MlOp {
    fn kept_outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        let plain: Vec<Wire> = inputs
            .iter()
            .map(|wire| Wire { element: plain(wire.element), shape: wire.shape.clone() })
            .collect();
        let outputs = self.kernel.outputs(&plain)?;
        self.pick(outputs)
    }

    fn pick<T>(&self, outputs: TVec<T>) -> TractResult<TVec<T>> {
        let mut outputs: Vec<Option<T>> = outputs.into_iter().map(Some).collect();
        let found = outputs.len();
        let mut pick = |index: &usize| outputs.get_mut(*index).and_then(Option::take);
        self.kept
            .iter()
            .map(|index| pick(index).with_context(|| format!("the operator has {found} outputs")))
            .collect()
    }
}

fn plain(element: DatumType) -> DatumType {
    if element == DatumType::TDim { DatumType::I64 } else { element }
}

impl Op for MlOp {
    fn name(&self) -> StaticName {
        self.kernel.name().into()
    }

    fn mints_runtime_symbols(&self) -> bool {
        self.kernel.mints_symbols()
    }

    op_as_typed_op!();
}

impl EvalOp for MlOp {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let inputs: Vec<Arc<Tensor>> = inputs
            .into_iter()
            .map(|input| {
                if input.datum_type() == DatumType::TDim {
                    return Ok(input.cast_to::<i64>()?.into_owned().into_arc_tensor());
                }
                Ok(input.into_arc_tensor())
            })
            .collect::<TractResult<_>>()?;
        let outputs = self.kernel.run(&inputs)?;
        Ok(self.pick(outputs)?.into_iter().map(IntoTValue::into_tvalue).collect())
    }
}

impl TypedOp for MlOp {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let wires: Vec<Wire> = inputs
            .iter()
            .map(|fact| Wire { element: fact.datum_type, shape: fact.shape.to_tvec() })
            .collect();
        let outputs = self.kept_outputs(&wires)?;
        Ok(outputs.into_iter().map(|wire| wire.element.fact(wire.shape)).collect())
    }

    as_op!();
}

impl Expansion for MlOp {
    fn name(&self) -> StaticName {
        self.kernel.name().into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.kept.len())
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, inputs.len())?;
        solver.given_all(inputs.iter().map(|input| &input.datum_type), move |solver, types| {
            solver.given_all(inputs.iter().map(|input| &input.shape), move |solver, shapes| {
                let wires: Vec<Wire> = types
                    .iter()
                    .zip(shapes)
                    .map(|(element, shape)| Wire { element: *element, shape })
                    .collect();
                for (output, wire) in outputs.iter().zip(self.kept_outputs(&wires)?) {
                    solver.equals(&output.datum_type, wire.element)?;
                    solver.equals(&output.rank, wire.shape.len() as i64)?;
                    for (axis, dim) in wire.shape.into_iter().enumerate() {
                        solver.equals(&output.shape[axis], dim)?;
                    }
                }
                Ok(())
            })
        })
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let types = inputs
            .iter()
            .map(|input| Ok(plain(model.outlet_fact(*input)?.datum_type)))
            .collect::<TractResult<Vec<DatumType>>>()?;
        let kernel = self.kernel.settled(&types)?.unwrap_or_else(|| self.kernel.clone());
        model.wire_node(prefix, MlOp { kernel, kept: self.kept.clone() }, inputs)
    }
}

/// Rows and columns of a tensor at hand, as [`Wire::rows_and_columns`].
pub(in super::super) fn rows_and_columns(tensor: &Tensor) -> TractResult<(usize, usize)> {
    match tensor.shape() {
        [columns] => Ok((1, *columns)),
        [rows, columns] => Ok((*rows, *columns)),
        shape => bail!("expected one or two dimensions, found {}", shape.len()),
    }
}

/// The elements of a tensor of this type.
pub(in super::super) fn elements<T: Datum>(tensor: &Tensor) -> TractResult<&[T]> {
    tensor.try_as_plain_ram()?.as_slice::<T>()
}

/// These elements as a tensor.
pub(in super::super) fn tensor<T: Datum>(shape: &[usize], elements: Vec<T>) -> TractResult<Tensor> {
    Ok(ArrayD::from_shape_vec(shape, elements)?.into_tensor())
}

/// `ensure!` for the number types that most operators of the domain take.
pub(in super::super) fn number(element: DatumType) -> TractResult<()> {
    let known = [DatumType::F32, DatumType::F64, DatumType::I64, DatumType::I32];
    ensure!(known.contains(&element), "expected float, double, int64 or int32, found {element:?}");
    Ok(())
}
