//! `Loop`: a body that runs so many times or while a condition holds, with values that it carries along.

mod rounds;

use super::super::super::check::sized;
use super::super::correct;
use super::body::Body;
use rounds::Rounds;
use std::sync::Arc;
use tract_onnx::model::{ParseResult, ParsingContext};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{self, NodeProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::cast::cast;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_hir::infer::{Factoid, InferenceNode, ShapeFactoid};
use tract_onnx::tract_hir::internal::{GenericFactoid, InferenceOp};

/// How often a body is looked at again while its values are found to change their shape.
const SHAPES_TRIED_MAX: usize = 16;

pub(super) fn repeat(
    context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let body = node.attribute.iter().find(|one| one.name == "body");
    let body = body.and_then(|one| one.g.as_ref()).context("it has no body")?;
    let mut body = body.clone();
    for input in &mut body.input {
        // Its types are those of what goes in; tract asks for one, whatever it is.
        input.r#type = Some(pb::TypeProto {
            denotation: String::new(),
            value: Some(pb::type_proto::Value::TensorType(pb::type_proto::Tensor {
                elem_type: DataType::Float as i32,
                shape: None,
            })),
        });
    }
    let ParseResult { model, unresolved_inputs, .. } = context.parse_graph(&body)?;
    let given = |place: usize| node.input.get(place).is_some_and(|name| !name.is_empty());
    let carried = node.input.iter().skip(2).filter(|name| !name.is_empty()).count();
    ensure!(
        model.inputs.len() == 2 + carried + unresolved_inputs.len(),
        "its body takes {} values where it is given {carried} beside the round and the condition",
        (model.inputs.len() - unresolved_inputs.len()).saturating_sub(2)
    );
    ensure!(
        model.outputs.len() > carried,
        "its body makes {} values, too few for a condition and {carried} that are carried",
        model.outputs.len()
    );
    let outputs = model.outputs.len() - 1;
    let wanted = node.output.iter().map(|name| !name.is_empty());
    let repeat = Repeat {
        counted: given(0),
        conditional: given(1),
        carried,
        wanted: wanted.chain(std::iter::repeat(false)).take(outputs).collect(),
        rounds: context.template.symbols.new_with_prefix("rounds"),
        body: model,
    };
    Ok((Box::new(repeat), unresolved_inputs))
}

/// The loop in a graph that is not typed yet.
#[derive(Debug, Clone)]
struct Repeat {
    /// The first input is how often it runs at most.
    counted: bool,
    /// The next input is whether it runs at all.
    conditional: bool,
    /// Values that go from round to round.
    carried: usize,
    /// Which outputs have a name.
    wanted: Vec<bool>,
    /// How often it ran, where that is not known before.
    rounds: Symbol,
    body: InferenceModel,
}

impl PartialEq for Repeat {
    fn eq(&self, _other: &Repeat) -> bool {
        false
    }
}

impl Eq for Repeat {}

/// A value's type and shape, without the value, which another round does not have.
fn steady(fact: &InferenceFact) -> InferenceFact {
    let element = match fact.datum_type.concretize() {
        // A shape that was computed is an integer as any other from the second round on.
        Some(DatumType::TDim) => DatumType::I64.into(),
        Some(_) | None => fact.datum_type,
    };
    InferenceFact { datum_type: element, shape: fact.shape.clone(), ..InferenceFact::default() }
}

impl Repeat {
    /// Where the carried values begin among the inputs, and those that the body takes from outside.
    fn places(&self) -> (usize, usize) {
        let first = usize::from(self.counted) + usize::from(self.conditional);
        (first, first + self.carried)
    }

    /// The body with these values, and with the dimensions of carried values open that a round
    /// changes; `fresh` makes a name for one.
    fn inferred(
        &self,
        inputs: &[InferenceFact],
        fresh: &mut dyn FnMut() -> GenericFactoid<TDim>,
    ) -> TractResult<InferenceModel> {
        let (first, outer) = self.places();
        let mut carried: Vec<InferenceFact> = inputs[first..outer].iter().map(steady).collect();
        for _ in 0..SHAPES_TRIED_MAX {
            let mut body = self.body.clone();
            body.set_input_fact(0, InferenceFact::dt_shape(DatumType::I64, [0_usize; 0]))?;
            body.set_input_fact(1, InferenceFact::dt_shape(DatumType::Bool, [0_usize; 0]))?;
            let known = carried.iter().chain(&inputs[outer..]);
            for (place, fact) in known.enumerate() {
                body.set_input_fact(2 + place, fact.clone())?;
            }
            sized(&mut body)?;
            let mut changed = false;
            for (place, fact) in carried.iter_mut().enumerate() {
                let made = body.outlet_fact(body.outputs[1 + place])?;
                let Some(shape) = opened(&fact.shape, &made.shape, fresh)? else { continue };
                fact.shape = shape;
                changed = true;
            }
            if !changed {
                return Ok(body);
            }
        }
        bail!("the shapes of the values that it carries do not settle")
    }

    /// What the node makes, by what the body makes in one round.
    fn made(
        &self,
        inputs: &[InferenceFact],
        body: &InferenceModel,
    ) -> TractResult<TVec<InferenceFact>> {
        let mut made = TVec::new();
        for (place, wanted) in self.wanted.iter().enumerate() {
            let fact = steady(body.outlet_fact(body.outputs[1 + place])?);
            if !wanted {
                continue;
            }
            made.push(match place < self.carried {
                true => {
                    let (first, _) = self.places();
                    let given = steady(&inputs[first + place]);
                    let shape = opened(&given.shape, &fact.shape, &mut || GenericFactoid::Any)?;
                    InferenceFact { shape: shape.unwrap_or(given.shape), ..fact }
                }
                false => match fact.shape.rank().concretize() {
                    None => InferenceFact { shape: ShapeFactoid::default(), ..fact },
                    Some(_) => {
                        let own = fact.shape.dims().cloned();
                        let rounds = std::iter::once(GenericFactoid::Only(self.rounds.to_dim()));
                        let shape = ShapeFactoid::closed(rounds.chain(own).collect());
                        InferenceFact { shape, ..fact }
                    }
                },
            });
        }
        Ok(made)
    }
}

/// The shape of what is carried, where a round makes another of it: open where they differ.
fn opened(
    given: &ShapeFactoid,
    made: &ShapeFactoid,
    fresh: &mut dyn FnMut() -> GenericFactoid<TDim>,
) -> TractResult<Option<ShapeFactoid>> {
    let (Some(rank), Some(made_rank)) = (given.rank().concretize(), made.rank().concretize())
    else {
        return Ok(None);
    };
    ensure!(
        rank == made_rank,
        "a value that it carries has {rank} dimensions, and {made_rank} after a round"
    );
    let mut changed = false;
    let shape: TVec<GenericFactoid<TDim>> = given
        .dims()
        .zip(made.dims())
        .map(|(given, made)| match (given.concretize(), made.concretize()) {
            // What a round makes of an open dimension may be anything.
            (Some(TDim::Sym(_)), _) | (None, _) => given.clone(),
            (Some(one), Some(other)) if one == other => given.clone(),
            (Some(_), _) => {
                changed = true;
                fresh()
            }
        })
        .collect();
    Ok(changed.then(|| ShapeFactoid::closed(shape)))
}

impl Op for Repeat {
    fn name(&self) -> StaticName {
        "Loop".into()
    }

    not_a_typed_op!();
}

impl EvalOp for Repeat {
    // A loop may be long: its graph is typed first, and nothing is computed before that.
    not_out_of_plan!();
}

type Facts = TVec<InferenceFact>;

impl InferenceOp for Repeat {
    fn infer_facts(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<(Facts, Facts, Facts)> {
        let inputs: Facts = inputs.into_iter().cloned().collect();
        let observed = observed.into_iter().cloned().collect();
        let (first, outer) = self.places();
        let unknown = |fact: &InferenceFact| {
            fact.datum_type().is_none() || fact.shape.rank().concretize().is_none()
        };
        if inputs[first..outer].iter().any(unknown) {
            return Ok((inputs, outputs.into_iter().cloned().collect(), observed));
        }
        let body = self.inferred(&inputs, &mut || GenericFactoid::Any)?;
        let made = self.made(&inputs, &body)?;
        let known = outputs.into_iter().zip(made);
        let outputs: TractResult<Facts> = known.map(|(known, made)| known.unify(&made)).collect();
        Ok((inputs, outputs?, observed))
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.wanted.iter().filter(|wanted| **wanted).count())
    }

    fn to_typed(
        &self,
        _source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let (first, outer) = self.places();
        let mut inputs: TVec<OutletId> = node.inputs.iter().map(|one| mapping[one]).collect();
        for (place, input) in inputs.iter_mut().enumerate().take(outer) {
            if target.outlet_fact(*input)?.datum_type == DatumType::TDim {
                let name = format!("{}.integer_{place}", node.name);
                *input = target.wire_node(name, cast(DatumType::I64), &[*input])?[0];
            }
        }
        let mut facts = Vec::new();
        for input in &inputs {
            facts.push(InferenceFact::from(target.outlet_fact(*input)?));
        }
        let symbols = target.symbols.clone();
        let mut fresh = || GenericFactoid::Only(symbols.new_with_prefix("carried").to_dim());
        let mut body = self.inferred(&facts, &mut fresh)?;
        // Weights from outside are the body's own, so that they are packed for it once.
        let mut outlets: Vec<OutletId> = body.input_outlets()?.to_vec();
        let mut kept = inputs[..outer].to_vec();
        let mut place = 2 + self.carried;
        for input in &inputs[outer..] {
            match target.outlet_fact(*input)?.konst.clone() {
                Some(value) => {
                    let outlet = outlets.remove(place);
                    body.node_mut(outlet.node).op = Box::new(Const::new(value.clone())?);
                    body.set_outlet_fact(outlet, InferenceFact::try_from(value)?)?;
                }
                None => {
                    kept.push(*input);
                    place += 1;
                }
            }
        }
        body.set_input_outlets(&outlets)?;
        let mut body = body.into_typed()?;
        let mut ends = body.output_outlets()?.to_vec();
        for (place, end) in ends.iter_mut().enumerate() {
            if body.outlet_fact(*end)?.datum_type == DatumType::TDim {
                let name = format!("{}.end_{place}", node.name);
                *end = body.wire_node(name, cast(DatumType::I64), &[*end])?[0];
            }
        }
        body.select_output_outlets(&ends)?;
        let mut body = body.into_decluttered()?;
        correct(&mut body)?;
        let shapes = self.shapes(target, &inputs[first..outer], &body)?;
        let op = Rounds {
            counted: self.counted,
            conditional: self.conditional,
            carried: self.carried,
            wanted: self.wanted.clone(),
            shapes,
            body: Body::Graph(Arc::new(body)),
        };
        target.wire_node(&node.name, op, &kept)
    }

    as_op!();
}

impl Repeat {
    /// The type and shape of each value that the loop ends with, wanted or not.
    fn shapes(
        &self,
        target: &TypedModel,
        carried: &[OutletId],
        body: &TypedModel,
    ) -> TractResult<Vec<TypedFact>> {
        let fresh = || target.symbols.new_with_prefix("carried").to_dim();
        // A name that the body alone knows says nothing outside of it.
        let mut known: Vec<Symbol> = Vec::new();
        for input in body.input_outlets()?.iter().skip(2 + self.carried) {
            known.extend(body.outlet_fact(*input)?.shape.iter().flat_map(|dim| dim.symbols()));
        }
        for input in carried {
            known.extend(target.outlet_fact(*input)?.shape.iter().flat_map(|dim| dim.symbols()));
        }
        let outside = |dim: &TDim| match dim.symbols().iter().all(|symbol| known.contains(symbol)) {
            true => dim.clone(),
            false => fresh(),
        };
        let mut facts = Vec::new();
        for place in 0..self.wanted.len() {
            let made = body.outlet_fact(body.output_outlets()?[1 + place])?;
            let shape: TVec<TDim> = match carried.get(place) {
                Some(input) => {
                    let given = target.outlet_fact(*input)?;
                    ensure!(
                        given.rank() == made.rank() && given.datum_type == made.datum_type,
                        "it carries {given:?} and makes {made:?} of it"
                    );
                    let pairs = given.shape.iter().zip(made.shape.iter());
                    pairs
                        .map(|(one, other)| if one == other { one.clone() } else { fresh() })
                        .collect()
                }
                None => {
                    let rounds = std::iter::once(self.rounds.to_dim());
                    rounds.chain(made.shape.iter().map(outside)).collect()
                }
            };
            facts.push(made.datum_type.fact(&*shape));
        }
        Ok(facts)
    }
}
