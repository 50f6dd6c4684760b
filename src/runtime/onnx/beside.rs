//! The files beside a model: where stored tensors that lie outside of its own file are found and read.

use super::super::check::TENSOR_BYTES_MAX;
use super::super::error::LoadError;
use crate::disk::Stretch;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};

/// Files beside one model. Exporters write one, or one for each weight of a net that is not large;
/// each is a layer of an artifact, which has no more than 1,024.
pub const SIDE_FILES_MAX: usize = 512;

/// The longest location of such a file, in bytes; exporters name them after weights.
const LOCATION_BYTES_MAX: usize = 1 << 10;

/// How often the bytes of the files may be read in all: tied weights are named twice, or a few
/// times, and a model that names a large file for each of its tensors would fill the memory.
const TIMES_READ_MAX: u64 = 4;

/// Where the files beside a model are.
#[derive(Debug, Clone, Default)]
pub enum Beside {
    /// Nowhere: a model that names one is refused.
    #[default]
    Nowhere,
    /// In this folder, the model's own.
    Folder(PathBuf),
    /// Each under the location that the model names it by.
    Known(BTreeMap<String, Stretch>),
}

/// The stretch of a file that a tensor names.
struct Named {
    location: String,
    offset: u64,
    bytes: u64,
}

impl Beside {
    /// The folder of the model's file at `path`.
    #[must_use]
    pub fn of(path: &Path) -> Beside {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        Beside::Folder(folder.unwrap_or(Path::new(".")).to_owned())
    }

    /// The file at this location, or why there is none.
    fn file(&self, location: &str) -> Result<Stretch, String> {
        let unreadable = |error: std::io::Error| format!("it cannot be read: {error}");
        match self {
            Beside::Nowhere => Err("no files came with the model".into()),
            Beside::Known(files) => {
                let file = files.get(location).cloned();
                file.ok_or_else(|| "it did not come with the model".into())
            }
            Beside::Folder(folder) => {
                let folder = folder.canonicalize().map_err(unreadable)?;
                let path = folder.join(location).canonicalize().map_err(unreadable)?;
                if !path.starts_with(&folder) {
                    return Err("it is a link that leads outside of the model's folder".into());
                }
                // A pipe or a device has no end.
                match std::fs::metadata(&path).map_err(unreadable)?.is_file() {
                    true => Ok(Stretch::whole(path)),
                    false => Err("it is no plain file".into()),
                }
            }
        }
    }
}

/// Reads every tensor of `model` that lies in another file into its place, and gives the files
/// that it took, by location.
///
/// The form is that of <https://github.com/onnx/onnx/blob/main/docs/ExternalData.md>.
pub(in super::super) fn bring_in(
    model: &mut ModelProto,
    beside: &Beside,
) -> Result<BTreeMap<String, Stretch>, LoadError> {
    let mut outside: Vec<&mut TensorProto> = Vec::new();
    if let Some(graph) = &mut model.graph {
        of_graph(graph, &mut outside);
    }
    let Some(first) = outside.first() else { return Ok(BTreeMap::new()) };
    if matches!(beside, Beside::Nowhere) {
        return Err(LoadError::ExternalData { count: outside.len(), first: first.name.clone() });
    }
    let mut files: BTreeMap<String, (Stretch, u64)> = BTreeMap::new();
    let mut faults = Vec::new();
    let mut named = Vec::new();
    for tensor in outside {
        match located(tensor, beside, &mut files) {
            Ok(Some(place)) => named.push((tensor, place)),
            // Its type or its shape is none, which is told where all tensors are looked over.
            Ok(None) => inside(tensor, Vec::new()),
            Err(what) => {
                faults.push(format!("the stored tensor `{}` {what}", tensor.name));
            }
        }
        if files.len() > SIDE_FILES_MAX {
            faults.push(format!(
                "the model names more than the {SIDE_FILES_MAX} files that are allowed: save it \
                 with all weights in one file"
            ));
            break;
        }
    }
    let there: u64 = files.values().map(|(_, bytes)| bytes).sum();
    let wanted = named.iter().fold(0_u64, |sum, (_, place)| sum.saturating_add(place.bytes));
    if wanted > there.saturating_mul(TIMES_READ_MAX) {
        faults.push(format!(
            "its tensors take {wanted} bytes of files that have {there}, more than \
             {TIMES_READ_MAX} times of all"
        ));
    }
    if !faults.is_empty() {
        return Err(LoadError::SideFiles { faults });
    }
    for (tensor, place) in named {
        let (file, _) = &files[&place.location];
        let bytes = read(&file.within(place.offset, place.bytes), place.bytes);
        inside(tensor, bytes.map_err(LoadError::Unreadable)?);
    }
    Ok(files.into_iter().map(|(location, (file, _))| (location, file)).collect())
}

fn of_graph<'m>(graph: &'m mut GraphProto, outside: &mut Vec<&'m mut TensorProto>) {
    outside.extend(graph.initializer.iter_mut().filter(|tensor| is_outside(tensor)));
    of_nodes(&mut graph.node, outside);
}

fn of_nodes<'m>(nodes: &'m mut [NodeProto], outside: &mut Vec<&'m mut TensorProto>) {
    for attribute in nodes.iter_mut().flat_map(|node| &mut node.attribute) {
        let tensors = attribute.t.iter_mut().chain(&mut attribute.tensors);
        outside.extend(tensors.filter(|tensor| is_outside(tensor)));
        for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            of_graph(graph, outside);
        }
    }
}

fn is_outside(tensor: &TensorProto) -> bool {
    tensor.data_location == Some(DataLocation::External as i32)
}

/// Where a tensor says that its data lie, if that is in another file.
pub(in super::super) fn location(tensor: &TensorProto) -> Option<&str> {
    let entry = tensor.external_data.iter().find(|entry| entry.key == "location");
    entry.filter(|_| is_outside(tensor)).map(|entry| entry.value.as_str())
}

fn inside(tensor: &mut TensorProto, bytes: Vec<u8>) {
    tensor.data_location = None;
    tensor.external_data = Vec::new();
    tensor.raw_data = bytes;
}

/// Where the data of `tensor` lie, none for a tensor that cannot be; or what is wrong with it.
fn located(
    tensor: &TensorProto,
    beside: &Beside,
    files: &mut BTreeMap<String, (Stretch, u64)>,
) -> Result<Option<Named>, String> {
    let entry = |key: &str| {
        let entry = tensor.external_data.iter().find(|entry| entry.key == key);
        entry.map(|entry| entry.value.as_str())
    };
    let number = |key: &str| match entry(key) {
        None => Ok(None),
        Some(text) => match text.parse::<u64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(format!("has the {key} {text:.40?}, which is no number of bytes")),
        },
    };
    let location = entry("location").unwrap_or_default();
    if let Some(what) = unsound(location) {
        return Err(format!("wants its data from `{location:.100}`, {what}"));
    }
    let Some(wanted) = size(tensor) else { return Ok(None) };
    let offset = number("offset")?.unwrap_or(0);
    let bytes = number("length")?.unwrap_or(wanted);
    if bytes != wanted {
        let shape = &tensor.dims;
        return Err(format!(
            "has {bytes} bytes in `{location}` where its shape {shape:?} has {wanted}"
        ));
    }
    if bytes > TENSOR_BYTES_MAX {
        return Err(format!(
            "has {bytes} bytes, more than the {TENSOR_BYTES_MAX} that are allowed"
        ));
    }
    if !files.contains_key(location) {
        let told =
            |what: String| format!("wants its data from `{location}` beside the model: {what}");
        let file = beside.file(location).map_err(told)?;
        let bytes = file.bytes().map_err(|error| told(format!("it cannot be read: {error}")))?;
        files.insert(location.to_owned(), (file, bytes));
    }
    let (_, there) = &files[location];
    match offset.checked_add(bytes).is_some_and(|end| end <= *there) {
        true => Ok(Some(Named { location: location.to_owned(), offset, bytes })),
        false => Err(format!(
            "wants {bytes} bytes from byte {offset} of `{location}` on, which has {there}: the file \
             is another one, or only a part of it"
        )),
    }
}

/// Why this is no location of a file beside a model, if it is none.
fn unsound(location: &str) -> Option<&'static str> {
    if location.is_empty() {
        return Some("which is no name of a file");
    }
    if location.len() > LOCATION_BYTES_MAX {
        return Some("a name of more than 1024 bytes");
    }
    if location.chars().any(char::is_control) {
        return Some("a name with control characters");
    }
    let parts = || location.split(['/', '\\']);
    let outside = location.starts_with(['/', '\\'])
        || location.contains(':')
        || parts().any(|one| one == "..");
    if outside {
        return Some("outside of the model's folder");
    }
    location.contains('\\').then_some("a name that not every system reads alike")
}

/// The bytes that a tensor of this type and shape has; none where there is no such tensor here.
fn size(tensor: &TensorProto) -> Option<u64> {
    let one = match DataType::try_from(tensor.data_type).ok()? {
        DataType::Bool | DataType::Int8 | DataType::Uint8 => 1,
        DataType::Int16 | DataType::Uint16 | DataType::Float16 => 2,
        DataType::Float | DataType::Int32 | DataType::Uint32 => 4,
        DataType::Double | DataType::Int64 | DataType::Uint64 => 8,
        DataType::String
        | DataType::Undefined
        | DataType::Complex64
        | DataType::Complex128
        | DataType::Bfloat16
        | DataType::Float8e4m3fn
        | DataType::Float8e4m3fnuz
        | DataType::Float8e5m2
        | DataType::Float8e5m2fnuz
        | DataType::Uint4
        | DataType::Int4
        | DataType::Float4e2m1 => return None,
    };
    let extents = tensor.dims.iter().map(|extent| u64::try_from(*extent).ok());
    extents.into_iter().try_fold(one, |bytes: u64, extent| bytes.checked_mul(extent?))
}

fn read(stretch: &Stretch, bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut data = Vec::new();
    stretch.open()?.read_to_end(&mut data)?;
    match data.len() as u64 == bytes {
        true => Ok(data),
        false => Err(std::io::ErrorKind::UnexpectedEof.into()), // it became shorter meanwhile
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::pb::StringStringEntryProto as Entry;

    fn model(entries: &[(&str, &str)], dims: &[i64]) -> ModelProto {
        let entry =
            |(key, value): &(&str, &str)| Entry { key: (*key).into(), value: (*value).into() };
        let tensor = TensorProto {
            name: "w".into(),
            dims: dims.to_vec(),
            data_type: DataType::Float as i32,
            data_location: Some(DataLocation::External as i32),
            external_data: entries.iter().map(entry).collect(),
            ..TensorProto::default()
        };
        let graph = GraphProto { initializer: vec![tensor], ..GraphProto::default() };
        ModelProto { graph: Some(graph), ..ModelProto::default() }
    }

    /// A folder with a file of 16 bytes, a link out of the folder, and one inside of it.
    fn folder() -> tempfile::TempDir {
        let above = tempfile::tempdir().unwrap();
        std::fs::write(above.path().join("secret"), [7; 16]).unwrap();
        let folder = above.path().join("model");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("w.bin"), (0..16).collect::<Vec<u8>>()).unwrap();
        std::os::unix::fs::symlink("../secret", folder.join("out")).unwrap();
        std::os::unix::fs::symlink("w.bin", folder.join("in")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.join("zero")).unwrap();
        above
    }

    #[test]
    fn a_tensor_is_read_from_its_stretch_of_the_file() {
        let above = folder();
        for location in ["w.bin", "in", "./w.bin"] {
            let beside = Beside::of(&above.path().join("model/model.onnx"));
            let mut model =
                model(&[("location", location), ("offset", "4"), ("length", "8")], &[2]);
            let files = bring_in(&mut model, &beside).unwrap();
            let tensor = &model.graph.unwrap().initializer[0];
            assert_eq!(tensor.raw_data, [4, 5, 6, 7, 8, 9, 10, 11]);
            assert!(files.keys().eq([location]));
        }
    }

    #[test]
    fn what_is_not_beside_the_model_or_not_in_the_file_is_told() {
        let above = folder();
        let beside = Beside::of(&above.path().join("model/model.onnx"));
        // What a tensor says of where it lies, its shape, and what is told of it.
        type Case<'a> = (&'a [(&'a str, &'a str)], &'a [i64], &'a str);
        let cases: [Case<'_>; 14] = [
            (&[("location", "../secret")], &[4], "outside of the model's folder"),
            (&[("location", "/etc/passwd")], &[4], "outside of the model's folder"),
            (&[("location", "a/../../secret")], &[4], "outside of the model's folder"),
            (&[("location", "out")], &[4], "leads outside of the model's folder"),
            (&[("location", "zero")], &[4], "outside of the model's folder"),
            (&[("location", ".")], &[4], "no plain file"),
            (&[("location", "")], &[4], "no name of a file"),
            (&[], &[4], "no name of a file"),
            (&[("location", "w.bin\n")], &[4], "control characters"),
            (&[("location", "missing")], &[4], "cannot be read"),
            (&[("location", "w.bin")], &[5], "which has 16"),
            (&[("location", "w.bin"), ("offset", "18446744073709551615")], &[4], "which has 16"),
            (&[("location", "w.bin"), ("length", "8")], &[4], "where its shape [4] has 16"),
            (&[("location", "w.bin"), ("offset", "-4")], &[4], "no number of bytes"),
        ];
        for (entries, dims, expected) in cases {
            let error = bring_in(&mut model(entries, dims), &beside).unwrap_err().to_string();
            assert!(error.contains(expected), "{entries:?}: {error}");
        }
    }

    #[test]
    fn a_file_is_not_read_for_every_tensor_of_a_model() {
        let above = folder();
        let beside = Beside::of(&above.path().join("model/model.onnx"));
        let mut many = model(&[("location", "w.bin")], &[4]);
        let graph = many.graph.as_mut().unwrap();
        graph.initializer = vec![graph.initializer[0].clone(); 5];
        let error = bring_in(&mut many, &beside).unwrap_err().to_string();
        assert!(error.contains("take 80 bytes of files that have 16"), "{error}");
    }

    #[test]
    fn a_model_without_a_folder_has_no_files_beside_it() {
        let error = bring_in(&mut model(&[("location", "w.bin")], &[4]), &Beside::Nowhere);
        assert!(matches!(error, Err(LoadError::ExternalData { count: 1, .. })));
        let known = Beside::Known(BTreeMap::new());
        let error = bring_in(&mut model(&[("location", "w.bin")], &[4]), &known).unwrap_err();
        assert!(error.to_string().contains("did not come with the model"), "{error}");
    }
}
