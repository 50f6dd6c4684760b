//! The cases of the `onnx` package: a model, and sets of inputs with the outputs that belong to them.

use super::judge::Measure;
use potoroo::tensor::{Data, Tensor};
use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use tract_onnx::pb;
use tract_onnx::pb::tensor_proto::DataType;

/// The kinds of cases that are run: the package's, and ours with onnxruntime's values. `light` and
/// `real` hold nets whose weights lie elsewhere.
const KINDS: [&str; 6] =
    ["catalog", "node", "onnxruntime", "pytorch-converted", "pytorch-operator", "simple"];

/// A folder with a `model.onnx`.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
}

/// Every case below `data`, by name.
pub(crate) fn all(data: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in KINDS {
        let folder = data.join(kind);
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let folder = entry.unwrap().path();
            if folder.join("model.onnx").exists() {
                let name = folder.file_name().unwrap().to_string_lossy();
                cases.push(Case { name: format!("{kind}/{name}"), folder });
            }
        }
    }
    let place = data.display();
    assert!(!cases.is_empty(), "{place} holds no cases; run tests/setup.sh, which fetches them");
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    cases
}

/// Inputs and the outputs that belong to them.
pub(crate) struct Set {
    pub(crate) inputs: Vec<Tensor<'static>>,
    pub(crate) outputs: Vec<Tensor<'static>>,
}

impl Case {
    /// Whether values may be one step of quantisation away, since sums are rounded in other order.
    fn quantised(&self) -> bool {
        self.name.starts_with("onnxruntime/Q")
    }

    /// By what measure the answers of this case are judged.
    pub(crate) fn measure(&self) -> Measure {
        match self.name.split('/').next() {
            Some("catalog") => Measure::Model,
            Some("onnxruntime") if self.quantised() => Measure::Step,
            _ => Measure::Operator,
        }
    }

    /// The sets of values; an error says why they have no form here (a sequence, a type of
    /// 4 or 8 bits that no request can carry).
    pub(crate) fn sets(&self) -> Result<Vec<Set>, String> {
        let mut sets = Vec::new();
        for index in 0.. {
            let folder = self.folder.join(format!("test_data_set_{index}"));
            if !folder.exists() {
                break;
            }
            let inputs = tensors(&folder, "input")?;
            sets.push(Set { inputs, outputs: tensors(&folder, "output")? });
        }
        match sets.is_empty() {
            true => Err("no values come with it".into()),
            false => Ok(sets),
        }
    }
}

fn tensors(folder: &Path, kind: &str) -> Result<Vec<Tensor<'static>>, String> {
    let mut tensors = Vec::new();
    for index in 0.. {
        let Ok(file) = fs::File::open(folder.join(format!("{kind}_{index}.pb"))) else { break };
        let proto = tract_onnx::tensor::proto_from_reader(file)
            .map_err(|_| format!("{kind} {index} is no tensor"))?;
        tensors.push(tensor(&proto).map_err(|reason| format!("{kind} {index} {reason}"))?);
    }
    Ok(tensors)
}

fn tensor(proto: &pb::TensorProto) -> Result<Tensor<'static>, String> {
    fn raw<T, const N: usize>(bytes: &[u8], read: fn([u8; N]) -> T) -> Vec<T> {
        let whole = |chunk: &[u8]| read(chunk.try_into().unwrap());
        bytes.chunks_exact(N).map(whole).collect()
    }
    let raw_data = proto.raw_data.as_slice();
    let ints = || proto.int32_data.iter().copied();
    let data = match DataType::try_from(proto.data_type) {
        Ok(DataType::Float) if raw_data.is_empty() => Data::F32(proto.float_data.clone().into()),
        Ok(DataType::Float) => Data::F32(raw(raw_data, f32::from_le_bytes).into()),
        Ok(DataType::Double) if raw_data.is_empty() => Data::F64(proto.double_data.clone().into()),
        Ok(DataType::Double) => Data::F64(raw(raw_data, f64::from_le_bytes).into()),
        Ok(DataType::Int64) if raw_data.is_empty() => Data::I64(proto.int64_data.clone().into()),
        Ok(DataType::Int64) => Data::I64(raw(raw_data, i64::from_le_bytes).into()),
        Ok(DataType::Int32) if raw_data.is_empty() => Data::I32(ints().collect()),
        Ok(DataType::Int32) => Data::I32(raw(raw_data, i32::from_le_bytes).into()),
        Ok(DataType::Bool) if raw_data.is_empty() => Data::Bool(ints().map(|v| v != 0).collect()),
        Ok(DataType::Bool) => Data::Bool(raw_data.iter().map(|byte| *byte != 0).collect()),
        Ok(DataType::String) => {
            let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone());
            let texts: Result<Vec<String>, _> = proto.string_data.iter().map(text).collect();
            Data::String(Cow::Owned(texts.map_err(|_| "holds bytes that are no text")?))
        }
        Ok(DataType::Float16) => Data::F16(raw(raw_data, half::f16::from_le_bytes).into()),
        Ok(DataType::Int8) => Data::I8(raw(raw_data, i8::from_le_bytes).into()),
        Ok(DataType::Int16) => Data::I16(raw(raw_data, i16::from_le_bytes).into()),
        Ok(DataType::Uint8) => Data::U8(raw_data.to_vec().into()),
        Ok(DataType::Uint16) => Data::U16(raw(raw_data, u16::from_le_bytes).into()),
        Ok(DataType::Uint32) => Data::U32(raw(raw_data, u32::from_le_bytes).into()),
        Ok(DataType::Uint64) => Data::U64(raw(raw_data, u64::from_le_bytes).into()),
        Ok(other) => return Err(format!("is of type {}", other.as_str_name())),
        Err(_) => return Err(format!("is of type {}", proto.data_type)),
    };
    let shape = proto.dims.iter().map(|extent| usize::try_from(*extent).unwrap()).collect();
    Tensor::new(shape, data).map_err(|error| error.to_string())
}
