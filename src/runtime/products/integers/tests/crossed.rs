//! Products of two tensors of codes held against the operators that they come from: equal, not near.

use super::*;

/// A value of codes with its scale and its zero point.
type Value = (String, [String; 2]);

impl Net {
    /// With axes moved so.
    fn moved(&mut self, (value, step): &Value, order: &[i64]) -> Value {
        let moved = self.node(("", "Transpose"), &[value], 1);
        self.graph.node.last_mut().unwrap().attribute.push(AttributeProto {
            name: "perm".to_owned(),
            r#type: AttributeType::Ints as i32,
            ints: order.to_vec(),
            ..AttributeProto::default()
        });
        (moved, step.clone())
    }

    fn shaped(&mut self, (value, step): &Value, dims: &[usize]) -> Value {
        let bytes = dims.iter().flat_map(|extent| (*extent as i64).to_le_bytes()).collect();
        let dims = self.store(DataType::Int64, &[dims.len()], bytes);
        (self.node(("", "Reshape"), &[value, &dims], 1), step.clone())
    }

    fn step(&mut self, element: DataType) -> [String; 2] {
        [self.floats(None), self.bytes(element, &[])]
    }

    /// The product of both, in codes of this type.
    fn product(&mut self, one: &Value, other: &Value, element: DataType) -> Value {
        let made = self.step(element);
        let inputs = [one, other]
            .into_iter()
            .flat_map(|(value, [scale, zero])| [value.clone(), scale.clone(), zero.clone()]);
        let inputs: Vec<String> = inputs.chain(made.clone()).collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        (self.node(("", "QLinearMatMul"), &inputs, 1), made)
    }
}

#[test]
fn heads_of_codes_are_multiplied_where_they_lie() {
    for seed in 0..TRIES {
        let mut net = Net::new(seed);
        let [batch, rows, heads, wide] = [2, 20, 3, 18].map(|most| net.between(1, most));
        let element = [DataType::Uint8, DataType::Int8][net.between(0, 1)];
        let inputs = heads * wide;
        let x = ("x".to_owned(), net.step(element));
        let head = |net: &mut Net, order: &[i64]| {
            let weights = net.bytes(DataType::Int8, &[inputs, inputs]);
            let zero = net.store(DataType::Int8, &[], vec![0]);
            let weights = (weights, [net.floats(None), zero]);
            let value = net.product(&x, &weights, element);
            let value = net.shaped(&value, &[batch, rows, heads, wide]);
            net.moved(&value, order)
        };
        let (query, key) = (head(&mut net, &[0, 2, 1, 3]), head(&mut net, &[0, 2, 3, 1]));
        let scores = net.product(&query, &key, element);
        let made = match net.one_in(2) {
            true => {
                let value = head(&mut net, &[0, 2, 1, 3]);
                let seen = net.product(&scores, &value, element);
                net.moved(&seen, &[0, 2, 1, 3])
            }
            false => scores,
        };
        let dims = [batch, rows, inputs];
        let model = net.model((element, &dims), (&made.0, element));
        let typed = model.plans.typed();
        let input = noise(seed, typed.input_fact(0).unwrap().datum_type, &dims);
        assert_same(&typed, &input, &format!("net {seed}"));
        if [batch, rows, heads, wide].contains(&1) {
            continue; // axes of one may leave a product with a form that tract has of its own
        }
        let (ours, _) = taken(Kind::best(), &typed);
        assert!(ours.nodes().iter().all(|node| !node.op_is::<EinSum>()), "net {seed}\n{ours}");
    }
}
