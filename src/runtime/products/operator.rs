//! A kernel as an operator of tract's graph: tensors of floats in, one out.

use crate::runtime::kernels::{
    self, Activation, Alone, Attention, Crew, Gang, Kind, Normal, Product,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use tract_onnx::tract_core::internal::*;

/// What is computed.
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
    pub(super) kernel: Arc<Kernel>,
    pub(super) fact: TypedFact,
}

impl Ours {
    /// Puts this kernel in the place of all that lies between these inputs and the outlet.
    pub(super) fn put(
        kernel: Kernel,
        model: &mut TypedModel,
        inputs: &[OutletId],
        outlet: OutletId,
    ) -> TractResult<()> {
        let kernel = Arc::new(kernel);
        put(|fact| Ours { kernel, fact }, model, inputs, outlet)
    }

    /// Multiplications.
    pub(super) fn work(&self) -> usize {
        let elements = || self.shape().iter().product::<usize>();
        match &*self.kernel {
            Kernel::Product(product) => product.work(elements()),
            Kernel::Attention(attention, _) => attention.work(),
            Kernel::Normal(_) | Kernel::Each(..) => elements(),
        }
    }

    /// Floats of a product's weights.
    pub(super) fn weights(&self) -> usize {
        match &*self.kernel {
            Kernel::Product(product) => product.floats(),
            Kernel::Normal(_) | Kernel::Each(..) | Kernel::Attention(..) => 0,
        }
    }

    fn shape(&self) -> TVec<usize> {
        self.fact.shape.as_concrete().unwrap_or_default().into()
    }
}

/// Puts an operator that makes this in the place of all that lies between these inputs and the outlet.
pub(super) fn put<T: Into<Box<dyn TypedOp>>>(
    op: impl FnOnce(TypedFact) -> T,
    model: &mut TypedModel,
    inputs: &[OutletId],
    outlet: OutletId,
) -> TractResult<()> {
    let fact = model.outlet_fact(outlet)?.without_value();
    let name = model.node(outlet.node).name.clone();
    let mut patch = TypedModelPatch::default();
    let taps = patch.taps(model, inputs)?;
    let made = patch.wire_node(name, op(fact), &taps)?[0];
    patch.shunt_outside(model, outlet, made)?;
    patch.apply(model)
}

// tract compares operators to join what is the same: each of these is its own.
impl PartialEq for Ours {
    fn eq(&self, other: &Ours) -> bool {
        Arc::ptr_eq(&self.kernel, &other.kernel)
    }
}

impl Eq for Ours {}

impl Hash for Ours {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.kernel).hash(state);
    }
}

impl Op for Ours {
    fn name(&self) -> StaticName {
        match &*self.kernel {
            Kernel::Product(_) => "Product",
            Kernel::Normal(_) => "Normal",
            Kernel::Each(..) => "Each",
            Kernel::Attention(..) => "Attention",
        }
        .into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        Ok(match &*self.kernel {
            Kernel::Product(product) => {
                vec![format!("{} bytes of weights", product.floats() * size_of::<f32>())]
            }
            Kernel::Each(_, activation) => vec![format!("{activation:?}")],
            Kernel::Normal(_) | Kernel::Attention(..) => Vec::new(),
        })
    }

    op_as_typed_op!();
}

impl EvalOp for Ours {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let plain: Vec<_> =
            inputs.iter().map(|input| input.try_as_plain_ram()).collect::<TractResult<_>>()?;
        let plain: Vec<&[f32]> =
            plain.iter().map(|input| input.as_slice::<f32>()).collect::<TractResult<_>>()?;
        let gang = Gang::here();
        let crew: &dyn Crew = match &gang {
            Some(gang) => &**gang,
            None => &Alone,
        };
        let first = *plain.first().context("a kernel without an input")?;
        let made = match &*self.kernel {
            Kernel::Product(product) => product.run(first, plain.get(1).copied(), crew),
            Kernel::Normal(normal) => normal.run(first, crew),
            Kernel::Each(kind, activation) => kernels::each(*kind, *activation, first, crew),
            Kernel::Attention(attention, places) => {
                let mask = plain.get(1 + places.iter().max().copied().unwrap_or_default());
                attention.run(places.map(|place| plain[place]), mask.copied(), crew)
            }
        };
        let made = tract_ndarray::ArrayD::from_shape_vec(self.shape().as_slice(), made)?;
        Ok(tvec!(made.into_tensor().into_tvalue()))
    }
}

impl TypedOp for Ours {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(self.fact.clone()))
    }

    fn cost(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<(Cost, TDim)>> {
        let products = match &*self.kernel {
            Kernel::Product(_) | Kernel::Attention(..) => self.work(),
            Kernel::Normal(_) | Kernel::Each(..) => 0,
        };
        let float = f32::datum_type();
        Ok(tvec!(
            (Cost::FMA(float), products.to_dim()),
            (Cost::Params(float), self.weights().to_dim())
        ))
    }

    as_op!();
}
