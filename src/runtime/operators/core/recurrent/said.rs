//! A recurrent layer in plain numbers, for a graph that is kept on the disk and read back.

use super::super::words::{Saying, Words};
use super::layer::{INPUTS, Layer, Way};
use super::{Function, Kind};

impl Layer {
    pub(in super::super) fn say(&self, to: &mut Words) {
        to.size(match self.kind {
            Kind::Rnn => 0,
            Kind::Lstm => 1,
            Kind::Gru { linear_before_reset: false } => 2,
            Kind::Gru { linear_before_reset: true } => 3,
        });
        to.size(match self.ways.as_slice() {
            [Way::Forwards] => 0,
            [Way::Backwards] => 1,
            _ => 2,
        });
        for function in &self.functions {
            let (number, parameters) = function.said();
            to.size(number);
            to.floats.extend(parameters);
        }
        to.floats.push(self.clip.unwrap_or(0.0));
        for flag in [self.input_forget, self.batch_first, self.quantised] {
            to.size(usize::from(flag));
        }
        for place in self.inputs.iter().chain(&self.outputs) {
            to.size(place.map_or(0, |place| place + 1));
        }
    }

    pub(in super::super) fn said(from: &mut Saying) -> Option<Layer> {
        let kind = match from.size()? {
            0 => Kind::Rnn,
            1 => Kind::Lstm,
            2 => Kind::Gru { linear_before_reset: false },
            3 => Kind::Gru { linear_before_reset: true },
            _ => return None,
        };
        let ways = match from.size()? {
            0 => vec![Way::Forwards],
            1 => vec![Way::Backwards],
            2 => vec![Way::Forwards, Way::Backwards],
            _ => return None,
        };
        let function = |from: &mut Saying| {
            let number = from.size()?;
            let parameters = from.floats(2)?;
            Function::heard(number, parameters.try_into().ok()?)
        };
        let functions = (0..kind.usual().len() * ways.len())
            .map(|_| function(from))
            .collect::<Option<Vec<Function>>>()?;
        let [clip] = from.floats(1)?.try_into().ok()?;
        let flag = |from: &mut Saying| Some(from.size()? != 0);
        let (input_forget, batch_first, quantised) = (flag(from)?, flag(from)?, flag(from)?);
        let mut inputs = [None; INPUTS];
        let mut outputs = [None; 3];
        for place in inputs.iter_mut().chain(&mut outputs) {
            *place = from.size()?.checked_sub(1);
        }
        Some(Layer {
            kind,
            ways,
            functions,
            clip: Some(clip).filter(|clip| *clip > 0.0),
            input_forget,
            batch_first,
            quantised,
            inputs,
            outputs,
        })
    }
}

impl Function {
    /// The function's number and parameters, for a kept graph.
    fn said(self) -> (usize, [f32; 2]) {
        match self {
            Function::Affine { alpha, beta } => (0, [alpha, beta]),
            Function::Elu { alpha } => (1, [alpha, 0.0]),
            Function::HardSigmoid { alpha, beta } => (2, [alpha, beta]),
            Function::LeakyRelu { alpha } => (3, [alpha, 0.0]),
            Function::Relu => (4, [0.0; 2]),
            Function::ScaledTanh { alpha, beta } => (5, [alpha, beta]),
            Function::Sigmoid => (6, [0.0; 2]),
            Function::Softplus => (7, [0.0; 2]),
            Function::Softsign => (8, [0.0; 2]),
            Function::Tanh => (9, [0.0; 2]),
            Function::ThresholdedRelu { alpha } => (10, [alpha, 0.0]),
        }
    }

    /// The function that [`said`](Self::said) this.
    fn heard(number: usize, [alpha, beta]: [f32; 2]) -> Option<Function> {
        Some(match number {
            0 => Function::Affine { alpha, beta },
            1 => Function::Elu { alpha },
            2 => Function::HardSigmoid { alpha, beta },
            3 => Function::LeakyRelu { alpha },
            4 => Function::Relu,
            5 => Function::ScaledTanh { alpha, beta },
            6 => Function::Sigmoid,
            7 => Function::Softplus,
            8 => Function::Softsign,
            9 => Function::Tanh,
            10 => Function::ThresholdedRelu { alpha },
            _ => return None,
        })
    }
}
