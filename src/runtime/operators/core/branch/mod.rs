//! `If` that looks into the branch that is taken, where that is known, and into no other.

mod choice;
mod stepwise;

use super::super::super::check::sized;
use super::super::correct;
use super::body::Body as Typed;
pub(in crate::runtime::operators) use choice::Choice;
use choice::{Ran, Way};
use std::sync::Arc;
pub(in crate::runtime) use stepwise::stepwise;
use tract_onnx::model::{ParseResult, ParsingContext};
use tract_onnx::pb::{GraphProto, NodeProto};
use tract_onnx::prelude::tract_itertools::izip;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_hir::infer::{Factoid, InferenceNode, ShapeFactoid};
use tract_onnx::tract_hir::internal::{GenericFactoid, InferenceOp};

pub(super) fn branch(
    context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let graph = |name: &str| -> TractResult<&GraphProto> {
        let attribute = node.attribute.iter().find(|one| one.name == name);
        attribute.and_then(|one| one.g.as_ref()).with_context(|| format!("it has no `{name}`"))
    };
    let mut outer: Vec<String> = Vec::new();
    let mut body = |graph: &GraphProto| -> TractResult<Body> {
        let ParseResult { model, unresolved_inputs, .. } = context.parse_graph(graph)?;
        let mut inputs = Vec::new();
        for name in unresolved_inputs {
            let known = outer.iter().position(|one| *one == name);
            let place = known.unwrap_or_else(|| {
                outer.push(name);
                outer.len() - 1
            });
            inputs.push(place + 1); // the condition comes first
        }
        Ok(Body { graph: model, inputs })
    };
    let (taken, left) = (body(graph("then_branch")?)?, body(graph("else_branch")?)?);
    let outputs = (taken.graph.outputs.len(), left.graph.outputs.len());
    ensure!(outputs.0 == outputs.1, "its branches make {} and {} values", outputs.0, outputs.1);
    Ok((Box::new(Branch { taken, left }), outer))
}

/// A branch, and which inputs of the node are those of its graph.
#[derive(Debug, Clone)]
struct Body {
    graph: InferenceModel,
    inputs: Vec<usize>,
}

/// tract types both: a branch that is there for other sizes, and makes no sense for these, stops it.
#[derive(Debug, Clone)]
struct Branch {
    /// What runs when the condition holds.
    taken: Body,
    left: Body,
}

impl PartialEq for Branch {
    fn eq(&self, _other: &Branch) -> bool {
        false
    }
}

impl Eq for Branch {}

impl Body {
    /// What the branch makes of these inputs.
    fn inferred(&mut self, inputs: &[InferenceFact]) -> TractResult<TVec<InferenceFact>> {
        for (place, outer) in self.inputs.iter().enumerate() {
            let known = self.graph.input_fact(place)?.unify(&inputs[*outer])?;
            self.graph.set_input_fact(place, known)?;
        }
        sized(&mut self.graph)?;
        let outlets = self.graph.output_outlets()?;
        outlets.iter().map(|outlet| self.graph.outlet_fact(*outlet).cloned()).collect()
    }

    /// The branch by itself, for inputs as they are known in `target`: more than the inference told
    /// where an extent is only known by a name. One that cannot be typed so runs node by node.
    fn way(&self, target: &TypedModel, inputs: &[OutletId]) -> Way {
        let typed = || -> TractResult<TypedModel> {
            let mut graph = self.graph.clone();
            for (place, outer) in self.inputs.iter().enumerate() {
                let known = target.outlet_fact(inputs[*outer])?.without_value();
                graph.set_input_fact(place, InferenceFact::from(&known))?;
            }
            let mut typed = graph.into_typed()?.into_decluttered()?;
            correct(&mut typed)?;
            Ok(typed)
        };
        let body = match typed() {
            Ok(graph) => Ran::Typed(Typed::Graph(Arc::new(graph))),
            Err(trouble) => {
                log::debug!("a branch runs node by node: {trouble:#}");
                Ran::Steps(Arc::new(self.graph.clone()))
            }
        };
        Way { inputs: self.inputs.clone(), body }
    }

    /// Puts the nodes of the branch into `target`.
    fn inlined(
        &self,
        prefix: &str,
        target: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let mut graph = self.graph.clone();
        for (place, outer) in self.inputs.iter().enumerate() {
            let fact = InferenceFact::from(target.outlet_fact(inputs[*outer])?);
            graph.set_input_fact(place, fact)?;
        }
        let body = graph.into_typed()?;
        let mut mapping: HashMap<OutletId, OutletId> = HashMap::default();
        for (outlet, outer) in izip!(body.input_outlets()?, &self.inputs) {
            mapping.insert(*outlet, inputs[*outer]);
        }
        for id in body.eval_order()? {
            let node = body.node(id);
            if TypedModel::is_source(&node.op) {
                continue;
            }
            let inputs: TVec<OutletId> = node.inputs.iter().map(|one| mapping[one]).collect();
            let name = target.unique_name(format!("{prefix}.{}", node.name));
            let made = target.wire_node(name, node.op.clone(), &inputs)?;
            for (slot, outlet) in made.into_iter().enumerate() {
                mapping.insert(OutletId::new(id, slot), outlet);
            }
        }
        Ok(body.output_outlets()?.iter().map(|outlet| mapping[outlet]).collect())
    }
}

impl Branch {
    fn condition(fact: &InferenceFact) -> TractResult<Option<bool>> {
        let value = fact.value.concretize();
        value.map(|value| value.cast_to_scalar::<bool>()).transpose()
    }

    /// Runs the branch that is taken, node by node.
    fn run(&self, inputs: &[TValue]) -> TractResult<TVec<TValue>> {
        let body = if inputs[0].cast_to_scalar::<bool>()? { &self.taken } else { &self.left };
        stepwise(&body.graph, body.inputs.iter().map(|one| inputs[*one].clone()).collect())
    }

    /// What both branches make for inputs like these; one that makes no sense of them counts for
    /// nothing before it is taken.
    fn either(&mut self, inputs: &[InferenceFact]) -> TractResult<TVec<InferenceFact>> {
        match (self.taken.inferred(inputs), self.left.inferred(inputs)) {
            (Ok(one), Ok(other)) => {
                izip!(one, other).map(|(one, other)| common(&one, &other)).collect()
            }
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one.into_iter().map(valueless).collect()),
            (Err(trouble), Err(_)) => Err(trouble),
        }
    }

    /// The type and shape of each value, whichever branch makes it.
    fn facts(
        source: &InferenceModel,
        node: &InferenceNode,
        symbols: &SymbolScope,
        ways: [&Way; 2],
    ) -> TractResult<Vec<TypedFact>> {
        let told = |way: &Way, slot: usize| -> TractResult<Option<TypedFact>> {
            match &way.body {
                Ran::Typed(Typed::Graph(graph)) => {
                    Ok(Some(graph.output_fact(slot)?.without_value()))
                }
                Ran::Typed(Typed::Plan(_)) | Ran::Steps(_) => Ok(None),
            }
        };
        let fresh = || symbols.new_with_prefix("branch").to_dim();
        let mut facts = Vec::new();
        for slot in 0..node.outputs.len() {
            let fact = match (told(ways[0], slot)?, told(ways[1], slot)?) {
                (Some(one), Some(other)) => {
                    ensure!(
                        one.rank() == other.rank(),
                        "its branches make values of {} and {} axes",
                        one.rank(),
                        other.rank()
                    );
                    let pairs = one.shape.iter().zip(other.shape.iter());
                    let shape: TVec<TDim> = pairs
                        .map(|(one, other)| if one == other { one.clone() } else { fresh() })
                        .collect();
                    same_type(one.datum_type, other.datum_type)?.fact(&*shape)
                }
                _ => {
                    let known = source.outlet_fact(OutletId::new(node.id, slot))?;
                    let element = known.datum_type.concretize();
                    let element =
                        element.context("the type of a value is not known before it runs")?;
                    let rank = known.shape.rank().concretize();
                    rank.context("the axes of a value are not known before it runs")?;
                    let dims = known.shape.dims();
                    let shape: TVec<TDim> =
                        dims.map(|dim| dim.concretize().unwrap_or_else(fresh)).collect();
                    element.fact(&*shape)
                }
            };
            facts.push(fact);
        }
        Ok(facts)
    }
}

/// The type of a value that is of the one or of the other: a shape that was computed is an integer.
fn same_type(one: DatumType, other: DatumType) -> TractResult<DatumType> {
    match (one, other) {
        (one, other) if one == other => Ok(one),
        (DatumType::TDim, DatumType::I64) | (DatumType::I64, DatumType::TDim) => Ok(DatumType::I64),
        (one, other) => bail!("its branches make values of types {one:?} and {other:?}"),
    }
}

/// What is known of the value of a branch is not known of the node's.
fn valueless(fact: InferenceFact) -> InferenceFact {
    InferenceFact { datum_type: fact.datum_type, shape: fact.shape, ..InferenceFact::default() }
}

/// What holds for a value that is of the one or of the other.
fn common(one: &InferenceFact, other: &InferenceFact) -> TractResult<InferenceFact> {
    let datum_type = match (one.datum_type.concretize(), other.datum_type.concretize()) {
        (Some(one), Some(other)) => same_type(one, other)?.into(),
        _ => one.datum_type.unify(&other.datum_type)?,
    };
    let ranks = (one.shape.rank().concretize(), other.shape.rank().concretize());
    let shape = match ranks {
        (Some(rank), Some(same)) if rank == same => {
            let pairs = one.shape.dims().zip(other.shape.dims());
            let both = pairs.map(|(one, other)| match one == other {
                true => one.clone(),
                false => GenericFactoid::Any,
            });
            ShapeFactoid::closed(both.collect())
        }
        _ => ShapeFactoid::default(),
    };
    Ok(InferenceFact { datum_type, shape, ..InferenceFact::default() })
}

impl Op for Branch {
    fn name(&self) -> StaticName {
        "If".into()
    }

    not_a_typed_op!();
}

impl EvalOp for Branch {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.run(&inputs)
    }
}

type Facts = TVec<InferenceFact>;

impl InferenceOp for Branch {
    fn infer_facts(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<(Facts, Facts, Facts)> {
        let inputs: Facts = inputs.into_iter().cloned().collect();
        let made = match Branch::condition(&inputs[0])? {
            Some(true) => self.taken.inferred(&inputs)?,
            Some(false) => self.left.inferred(&inputs)?,
            None => self.either(&inputs)?,
        };
        let known = outputs.into_iter().zip(made);
        let outputs: TractResult<Facts> = known.map(|(known, made)| known.unify(&made)).collect();
        Ok((inputs, outputs?, observed.into_iter().cloned().collect()))
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.taken.graph.outputs.len())
    }

    fn to_typed(
        &self,
        source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let inputs: TVec<OutletId> = node.inputs.iter().map(|one| mapping[one]).collect();
        match Branch::condition(source.outlet_fact(node.inputs[0])?)? {
            Some(true) => self.taken.inlined(&node.name, target, &inputs),
            Some(false) => self.left.inlined(&node.name, target, &inputs),
            None => {
                let (taken, left) =
                    (self.taken.way(target, &inputs), self.left.way(target, &inputs));
                let facts = Branch::facts(source, node, &target.symbols, [&taken, &left])?;
                target.wire_node(&node.name, Choice { taken, left, facts }, &inputs)
            }
        }
    }

    as_op!();
}
