//! A kernel as an operator of tract's graph: plain tensors in, one out.

use crate::runtime::kernels::{self, Activation, Attention, Crew, Gang, Kind, Normal, Product};
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use tract_onnx::tract_core::internal::*;

/// What is computed.
pub(super) trait Compute: Debug + Send + Sync {
    fn name(&self) -> &'static str;

    fn info(&self) -> Vec<String> {
        Vec::new()
    }

    /// Multiplications for so many values that are made.
    fn work(&self, _made: usize) -> usize {
        0
    }

    /// Multiplications that are worth waking a thread for.
    fn shared_from(&self) -> usize {
        SHARED_MIN
    }

    /// The type of what is multiplied, and how many weights of it are kept.
    fn weights(&self) -> (DatumType, usize) {
        (DatumType::F32, 0)
    }

    /// What is made of these inputs, with this type and shape.
    fn run(&self, inputs: &[TValue], made: &TypedFact, crew: &dyn Crew) -> TractResult<Tensor>;
}

/// Multiplications of floats that are worth waking a thread for: some 200 microseconds of one.
const SHARED_MIN: usize = 8 << 20;

/// What is computed of floats.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "each is behind a pointer")]
pub(super) enum Kernel {
    /// Rows times weights, and a second input that is added where there is one.
    Product(Product),
    Normal(Normal),
    Each(Kind, Activation),
    /// Which of the inputs are queries, keys and values; a mask comes last where there is one.
    Attention(Attention, [usize; 3]),
}

/// A kernel, and what it makes.
#[derive(Debug, Clone)]
pub(in crate::runtime) struct Ours {
    kernel: Arc<dyn Compute>,
    fact: TypedFact,
}

impl Ours {
    /// Puts this kernel in the place of all that lies between these inputs and the outlet.
    pub(super) fn put(
        kernel: impl Compute + 'static,
        model: &mut TypedModel,
        inputs: &[OutletId],
        outlet: OutletId,
    ) -> TractResult<()> {
        let (kernel, fact) = (Arc::new(kernel), model.outlet_fact(outlet)?.without_value());
        let name = model.node(outlet.node).name.clone();
        let mut patch = TypedModelPatch::default();
        let taps = patch.taps(model, inputs)?;
        let made = patch.wire_node(name, Ours { kernel, fact }, &taps)?[0];
        patch.shunt_outside(model, outlet, made)?;
        patch.apply(model)
    }

    /// Values that are made.
    fn values(&self) -> usize {
        extents(&self.fact).iter().product()
    }

    /// Multiplications.
    fn work(&self) -> usize {
        self.kernel.work(self.values())
    }

    /// Whether it takes so long that threads may share it: where nothing is multiplied, values count.
    pub(super) fn is_shared(&self) -> bool {
        self.kernel.shared_from() <= self.work().max(self.values())
    }

    /// Floats of weights that are kept.
    pub(super) fn weights(&self) -> usize {
        match self.kernel.weights() {
            (DatumType::F32, weights) => weights,
            _ => 0,
        }
    }
}

/// The extents of what is made, all of which are known where operators are ours.
fn extents(fact: &TypedFact) -> TVec<usize> {
    fact.shape.as_concrete().unwrap_or_default().into()
}

/// These values as a tensor of the shape.
pub(super) fn shaped<T: Datum>(fact: &TypedFact, values: Vec<T>) -> TractResult<Tensor> {
    Ok(tract_ndarray::ArrayD::from_shape_vec(extents(fact).as_slice(), values)?.into_tensor())
}

// tract compares operators to join what is the same: each of these is its own.
impl PartialEq for Ours {
    fn eq(&self, other: &Ours) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.kernel), Arc::as_ptr(&other.kernel))
    }
}

impl Eq for Ours {}

impl Hash for Ours {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.kernel).cast::<()>().hash(state);
    }
}

impl Op for Ours {
    fn name(&self) -> StaticName {
        self.kernel.name().into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        Ok(self.kernel.info())
    }

    op_as_typed_op!();
}

impl EvalOp for Ours {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let made = Gang::with(|crew| self.kernel.run(&inputs, &self.fact, crew))?;
        Ok(tvec!(made.into_tvalue()))
    }
}

impl TypedOp for Ours {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(self.fact.clone()))
    }

    fn cost(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<(Cost, TDim)>> {
        let (element, weights) = self.kernel.weights();
        let products = (Cost::FMA(element), self.work().to_dim());
        Ok(tvec!(products, (Cost::Params(element), weights.to_dim())))
    }

    as_op!();
}

impl Compute for Kernel {
    fn name(&self) -> &'static str {
        match self {
            Kernel::Product(_) => "Product",
            Kernel::Normal(_) => "Normal",
            Kernel::Each(..) => "Each",
            Kernel::Attention(..) => "Attention",
        }
    }

    fn info(&self) -> Vec<String> {
        match self {
            Kernel::Product(product) => {
                vec![format!("{} bytes of weights", product.floats() * size_of::<f32>())]
            }
            Kernel::Each(_, activation) => vec![format!("{activation:?}")],
            Kernel::Normal(_) | Kernel::Attention(..) => Vec::new(),
        }
    }

    fn work(&self, made: usize) -> usize {
        match self {
            Kernel::Product(product) => product.work(made),
            Kernel::Attention(attention, _) => attention.work(),
            Kernel::Normal(_) | Kernel::Each(..) => 0,
        }
    }

    fn weights(&self) -> (DatumType, usize) {
        let weights = match self {
            Kernel::Product(product) => product.floats(),
            Kernel::Normal(_) | Kernel::Each(..) | Kernel::Attention(..) => 0,
        };
        (DatumType::F32, weights)
    }

    fn run(&self, inputs: &[TValue], made: &TypedFact, crew: &dyn Crew) -> TractResult<Tensor> {
        let plain: TVec<_> =
            inputs.iter().map(|input| input.try_as_plain_ram()).collect::<TractResult<_>>()?;
        let plain: TVec<&[f32]> =
            plain.iter().map(|input| input.as_slice::<f32>()).collect::<TractResult<_>>()?;
        let first = *plain.first().context("a kernel without an input")?;
        let values = match self {
            Kernel::Product(product) => product.run(first, plain.get(1).copied(), crew),
            Kernel::Normal(normal) => normal.run(first, crew),
            Kernel::Each(kind, activation) => kernels::each(*kind, *activation, first, crew),
            Kernel::Attention(attention, places) => {
                let mask = plain.get(1 + places.iter().max().copied().unwrap_or_default());
                attention.run(places.map(|place| plain[place]), mask.copied(), crew)
            }
        };
        shaped(made, values)
    }
}
