//! Functions that a model brings along: the nodes of each in the place of every node that calls it.

use super::super::check::NODES_MAX;
use super::super::error::LoadError;
use std::collections::{HashMap, HashSet};
use tract_onnx::pb::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto};

/// Functions that call functions. Exporters' own go two or three deep; one that calls itself ends here.
const CALLS_DEEP_MAX: usize = 32;

/// The operator set from which on a node means the same in each: what came later tells itself by its
/// inputs and attributes. Before, axes became inputs, and `Softmax` another function.
const ALIKE_FROM: i64 = 13;

/// What a function is called by.
type Key = (String, String);

/// Puts the nodes of the model's functions where they are called, as
/// <https://github.com/onnx/onnx/blob/main/docs/IR.md#functions> has it.
pub(super) fn inline(model: &mut ModelProto) -> Result<(), LoadError> {
    if model.functions.is_empty() {
        return Ok(());
    }
    let functions: HashMap<Key, FunctionProto> = std::mem::take(&mut model.functions)
        .into_iter()
        .map(|function| {
            let domain = spelled(function.domain.as_deref().unwrap_or_default());
            ((domain, function.name.clone().unwrap_or_default()), function)
        })
        .collect();
    let own = model.opset_import.iter().find(|set| spelled(&set.domain).is_empty());
    let version = own.map(|set| set.version);
    let mut inlining =
        Inlining { functions: &functions, version, nodes: 0, calls: 0, faults: Vec::new() };
    if let Some(graph) = &mut model.graph {
        inlining.graph(graph, 0);
    }
    if inlining.nodes > NODES_MAX {
        return Err(LoadError::TooManyNodes { found: inlining.nodes, limit: NODES_MAX });
    }
    match inlining.faults.is_empty() {
        true => Ok(()),
        false => Err(LoadError::Unsound { faults: inlining.faults }),
    }
}

/// ONNX's own domain has two spellings.
fn spelled(domain: &str) -> String {
    if domain == "ai.onnx" { String::new() } else { domain.to_owned() }
}

struct Inlining<'m> {
    functions: &'m HashMap<Key, FunctionProto>,
    /// Of the model's operator set.
    version: Option<i64>,
    /// Nodes that were put in.
    nodes: usize,
    /// Calls that were put in; each makes names of its own.
    calls: usize,
    faults: Vec<String>,
}

impl Inlining<'_> {
    fn graph(&mut self, graph: &mut GraphProto, depth: usize) {
        graph.node = self.nodes(std::mem::take(&mut graph.node), depth);
    }

    fn nodes(&mut self, nodes: Vec<NodeProto>, depth: usize) -> Vec<NodeProto> {
        let mut put = Vec::with_capacity(nodes.len());
        for mut node in nodes {
            if self.nodes > NODES_MAX {
                return put; // told by the caller
            }
            for attribute in &mut node.attribute {
                for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                    self.graph(graph, depth);
                }
            }
            let functions = self.functions;
            match functions.get(&(spelled(&node.domain), node.op_type.clone())) {
                None => put.push(node),
                Some(_) if depth == CALLS_DEEP_MAX => {
                    return self.fault(put, format!(
                        "its functions call each other deeper than {CALLS_DEEP_MAX} times, `{}` among them",
                        node.op_type
                    ));
                }
                Some(function) => {
                    let body = match self.call(function, &node) {
                        Ok(body) => body,
                        Err(fault) => return self.fault(put, fault),
                    };
                    self.nodes += body.len();
                    put.extend(self.nodes(body, depth + 1));
                }
            }
        }
        put
    }

    fn fault(&mut self, put: Vec<NodeProto>, fault: String) -> Vec<NodeProto> {
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
        put
    }

    /// The nodes of `function` as this node calls it.
    fn call(
        &mut self,
        function: &FunctionProto,
        node: &NodeProto,
    ) -> Result<Vec<NodeProto>, String> {
        let name = &node.op_type;
        let wants = |set: &&tract_onnx::pb::OperatorSetIdProto| spelled(&set.domain).is_empty();
        let version = function.opset_import.iter().find(wants).map(|set| set.version);
        if let (Some(own), Some(version)) = (self.version, version)
            && own != version
            && own.min(version) < ALIKE_FROM
        {
            return Err(format!(
                "its function `{name}` is written for the operator set {version}, and the model for {own}: \
                 export it with one"
            ));
        }
        if node.input.len() > function.input.len() || node.output.len() > function.output.len() {
            return Err(format!(
                "a node calls its function `{name}` with {} inputs and {} outputs, which has {} and {}",
                node.input.len(),
                node.output.len(),
                function.input.len(),
                function.output.len()
            ));
        }
        self.calls += 1;
        let shown = if node.name.is_empty() { name } else { &node.name };
        let mut call = Call { prefix: format!("{shown}#{}/", self.calls), names: HashMap::new() };
        for (place, formal) in function.input.iter().enumerate() {
            let given = node.input.get(place).cloned().unwrap_or_default();
            call.names.insert(formal.clone(), given);
        }
        let mut passed = Vec::new();
        let mut taken: HashSet<&str> = HashSet::new();
        for (formal, made) in function.output.iter().zip(&node.output) {
            if made.is_empty() {
                continue;
            }
            // What goes in and out again, or out twice, needs a node that makes it.
            match call.names.contains_key(formal) || !taken.insert(formal) {
                true => passed.push((formal, made)),
                false => drop(call.names.insert(formal.clone(), made.clone())),
            }
        }
        let mut body = function.node.clone();
        for one in &mut body {
            call.node(one, function, node)?;
        }
        for (formal, made) in passed {
            body.push(NodeProto {
                name: format!("{}{made}", call.prefix),
                op_type: "Identity".into(),
                input: vec![call.name(formal)],
                output: vec![made.clone()],
                ..NodeProto::default()
            });
        }
        Ok(body)
    }
}

/// One call: what its names become.
struct Call {
    prefix: String,
    names: HashMap<String, String>,
}

impl Call {
    fn name(&self, name: &str) -> String {
        match self.names.get(name) {
            _ if name.is_empty() => String::new(),
            Some(given) => given.clone(),
            None => format!("{}{name}", self.prefix),
        }
    }

    fn node(
        &self,
        node: &mut NodeProto,
        function: &FunctionProto,
        caller: &NodeProto,
    ) -> Result<(), String> {
        if !node.name.is_empty() {
            node.name = format!("{}{}", self.prefix, node.name);
        }
        node.input.iter_mut().chain(&mut node.output).for_each(|name| *name = self.name(name));
        let mut attributes = Vec::with_capacity(node.attribute.len());
        for mut attribute in std::mem::take(&mut node.attribute) {
            if !attribute.ref_attr_name.is_empty() {
                let given = |one: &&AttributeProto| one.name == attribute.ref_attr_name;
                match caller.attribute.iter().find(given) {
                    Some(given) => {
                        attributes.push(AttributeProto { name: attribute.name, ..given.clone() });
                    }
                    None if function.attribute.contains(&attribute.ref_attr_name) => {}
                    // Its default stands in a field that the decoder skips.
                    None => {
                        return Err(format!(
                            "its function `{}` has a default for `{}`, a form that this runtime does \
                             not have: export it with its functions inlined",
                            caller.op_type, attribute.ref_attr_name
                        ));
                    }
                }
                continue;
            }
            for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                self.graph(graph, function, caller)?;
            }
            attributes.push(attribute);
        }
        node.attribute = attributes;
        Ok(())
    }

    fn graph(
        &self,
        graph: &mut GraphProto,
        function: &FunctionProto,
        caller: &NodeProto,
    ) -> Result<(), String> {
        let values = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
        values.for_each(|value| value.name = self.name(&value.name));
        graph.initializer.iter_mut().for_each(|tensor| tensor.name = self.name(&tensor.name));
        graph.node.iter_mut().try_for_each(|node| self.node(node, function, caller))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        NodeProto {
            op_type: op.into(),
            input: names(inputs),
            output: names(outputs),
            ..NodeProto::default()
        }
    }

    fn model(calls: Vec<NodeProto>, body: Vec<NodeProto>) -> ModelProto {
        let function = FunctionProto {
            name: Some("F".into()),
            input: vec!["a".into(), "b".into()],
            output: vec!["c".into()],
            node: body,
            ..FunctionProto::default()
        };
        ModelProto {
            graph: Some(GraphProto { node: calls, ..GraphProto::default() }),
            functions: vec![function],
            ..ModelProto::default()
        }
    }

    #[test]
    fn a_function_called_twice_has_values_of_its_own_each_time() {
        let body = vec![node("Add", &["a", "b"], &["t"]), node("Relu", &["t"], &["c"])];
        let calls = vec![node("F", &["x", "y"], &["u"]), node("F", &["u"], &["v"])];
        let mut model = model(calls, body);
        inline(&mut model).unwrap();
        let nodes = model.graph.unwrap().node;
        let shown: Vec<String> = nodes
            .iter()
            .map(|node| format!("{} {:?} {:?}", node.op_type, node.input, node.output))
            .collect();
        assert_eq!(
            shown,
            [
                r#"Add ["x", "y"] ["F#1/t"]"#,
                r#"Relu ["F#1/t"] ["u"]"#,
                r#"Add ["u", ""] ["F#2/t"]"#,
                r#"Relu ["F#2/t"] ["v"]"#,
            ]
        );
    }

    #[test]
    fn a_function_that_calls_itself_is_refused_and_so_is_one_that_grows_without_end() {
        let calls = || vec![node("F", &["x", "y"], &["u"])];
        let itself = inline(&mut model(calls(), vec![node("F", &["a", "b"], &["c"])]));
        assert!(matches!(itself, Err(LoadError::Unsound { .. })), "{itself:?}");
        let grows = vec![node("F", &["a", "b"], &["c"]); 4];
        let grows = inline(&mut model(calls(), grows));
        assert!(matches!(grows, Err(LoadError::TooManyNodes { .. } | LoadError::Unsound { .. })));
    }

    #[test]
    fn what_goes_in_and_out_again_is_made_by_a_node() {
        let mut model = model(vec![node("F", &["x", "y"], &["u"])], Vec::new());
        model.functions[0].output = vec!["a".into()];
        inline(&mut model).unwrap();
        let nodes = model.graph.unwrap().node;
        assert_eq!((nodes.len(), nodes[0].op_type.as_str()), (1, "Identity"));
        assert_eq!((&nodes[0].input, &nodes[0].output), (&vec!["x".into()], &vec!["u".into()]));
    }
}
