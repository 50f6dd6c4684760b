//! `RoiAlign` and `ReverseSequence`: parts of a tensor that other inputs tell.

use super::super::ml::{Attributes, Kernel, Wire, elements, tensor};
use std::sync::Arc;
use tract_onnx::tract_core::internal::*;

/// Samples along one side of a cell: a region as large as memory allows has a point for each pixel.
const SAMPLES_MAX: usize = 1 << 14;

/// Cells along one side of what a region comes to.
const CELLS_MAX: i64 = 1 << 12;

#[derive(Debug)]
struct RoiAlign {
    /// Rows and columns of what each region comes to.
    cells: [usize; 2],
    /// Points along each side of a cell; none where there is one for each pixel.
    samples: Option<usize>,
    scale: f32,
    /// Pixels lie about their coordinates, and not behind them.
    half_pixel: bool,
    largest: bool,
}

pub(super) fn roi_align(attributes: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    let side = |name: &str| -> TractResult<usize> {
        let told = attributes.int(name)?.unwrap_or(1);
        ensure!((1..=CELLS_MAX).contains(&told), "{name} is {told}, not 1 to {CELLS_MAX}");
        Ok(told as usize)
    };
    let samples = attributes.int("sampling_ratio")?.unwrap_or(0);
    ensure!((0..=SAMPLES_MAX as i64).contains(&samples), "sampling_ratio is {samples}");
    // Before version 16 there was the one way, and no attribute.
    let before = attributes.context.onnx_operator_set_version < 16;
    let half_pixel = match attributes.text("coordinate_transformation_mode")?.as_deref() {
        Some("half_pixel") => true,
        Some("output_half_pixel") => false,
        None => !before,
        Some(other) => bail!("coordinate_transformation_mode is `{other}`"),
    };
    let largest = match attributes.text("mode")?.as_deref() {
        Some("max") => true,
        Some("avg") | None => false,
        Some(other) => bail!("mode is `{other}`, not avg or max"),
    };
    Ok(Arc::new(RoiAlign {
        cells: [side("output_height")?, side("output_width")?],
        samples: Some(samples as usize).filter(|samples| *samples > 0),
        scale: attributes.float("spatial_scale")?.unwrap_or(1.0),
        half_pixel,
        largest,
    }))
}

/// The two pixels that a point lies between along one axis, and how much each counts.
#[derive(Clone, Copy)]
struct Between {
    pixels: [usize; 2],
    weights: [f32; 2],
}

fn between(at: f32, extent: usize) -> Option<Between> {
    if !(-1.0..=extent as f32).contains(&at) {
        return None;
    }
    let at = at.max(0.0);
    let low = at as usize;
    Some(if low + 1 >= extent {
        Between { pixels: [extent - 1; 2], weights: [1.0, 0.0] }
    } else {
        let part = at - low as f32;
        Between { pixels: [low, low + 1], weights: [1.0 - part, part] }
    })
}

impl RoiAlign {
    /// For each cell along one axis of a region, its points.
    fn points(
        &self,
        bounds: [f32; 2],
        cells: usize,
        extent: usize,
    ) -> TractResult<Vec<Vec<Option<Between>>>> {
        let shift = if self.half_pixel { 0.5 } else { 0.0 };
        let [start, end] = bounds.map(|bound| bound * self.scale - shift);
        let length = if self.half_pixel { end - start } else { (end - start).max(1.0) };
        let cell = length / cells as f32;
        let samples = self.samples.unwrap_or_else(|| cell.ceil().max(0.0) as usize);
        ensure!(samples <= SAMPLES_MAX, "a region has {samples} pixels for each of its cells");
        let at = |index: usize, sample: usize| {
            start + index as f32 * cell + (sample as f32 + 0.5) * cell / samples as f32
        };
        let cells = (0..cells)
            .map(|index| (0..samples).map(|sample| between(at(index, sample), extent)).collect());
        Ok(cells.collect())
    }

    fn pooled(
        &self,
        plane: &[f32],
        width: usize,
        rows: &[Option<Between>],
        columns: &[Option<Between>],
    ) -> f32 {
        let mut sum = 0.0_f32;
        let mut most: Option<f32> = None;
        for (row, column) in
            rows.iter().flat_map(|row| columns.iter().map(move |column| (row, column)))
        {
            let mut all = [0.0_f32; 4];
            if let (Some(row), Some(column)) = (row, column) {
                for (place, value) in all.iter_mut().enumerate() {
                    let (down, right) = (place / 2, place % 2);
                    let pixel = plane[row.pixels[down] * width + column.pixels[right]];
                    *value = row.weights[down] * column.weights[right] * pixel;
                }
            }
            sum += all.iter().sum::<f32>();
            let largest = all.into_iter().fold(f32::NEG_INFINITY, f32::max);
            most = Some(most.map_or(largest, |most| most.max(largest)));
        }
        match self.largest {
            true => most.unwrap_or(0.0),
            false => sum / (rows.len() * columns.len()).max(1) as f32,
        }
    }
}

impl Kernel for RoiAlign {
    fn name(&self) -> &'static str {
        "RoiAlign"
    }

    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        let [image, regions, which] = inputs else {
            bail!("expected three inputs, found {}", inputs.len())
        };
        for input in [image, regions] {
            ensure!(input.element == DatumType::F32, "expected floats, found {:?}", input.element);
        }
        ensure!(
            image.shape.len() == 4 && regions.shape.len() == 2 && which.shape.len() == 1,
            "expected an image of 4 axes, regions of 2 and indices of 1"
        );
        let cells = self.cells.map(|cells| cells.to_dim());
        let count = [regions.shape[0].clone(), image.shape[1].clone()];
        Ok(tvec!(Wire::new(DatumType::F32, count.into_iter().chain(cells))))
    }

    fn run(&self, inputs: &[Arc<Tensor>]) -> TractResult<TVec<Tensor>> {
        let [image, regions, which] = inputs else {
            bail!("expected three inputs, found {}", inputs.len())
        };
        let [images, channels, height, width] = *image.shape() else {
            bail!("expected an image of 4 axes, found {}", image.rank())
        };
        let [count, 4] = *regions.shape() else { bail!("a region should have 4 bounds") };
        let which = which.cast_to::<i64>()?;
        let which = elements::<i64>(&which)?;
        ensure!(which.len() == count, "there are {} indices for {count} regions", which.len());
        let (image, regions) = (elements::<f32>(image)?, elements::<f32>(regions)?);
        let [down, right] = self.cells;
        let mut out = Vec::with_capacity(count * channels * down * right);
        for (region, index) in regions.chunks_exact(4).zip(which) {
            let index = usize::try_from(*index).ok().filter(|index| *index < images);
            let index = index.context("a region is of an image that is not there")?;
            ensure!(height > 0 && width > 0, "a region is of an image without pixels");
            let rows = self.points([region[1], region[3]], down, height)?;
            let columns = self.points([region[0], region[2]], right, width)?;
            for channel in 0..channels {
                let start = (index * channels + channel) * height * width;
                let plane = &image[start..start + height * width];
                for row in &rows {
                    for column in &columns {
                        out.push(self.pooled(plane, width, row, column));
                    }
                }
            }
        }
        Ok(tvec!(tensor(&[count, channels, down, right], out)?))
    }
}

#[derive(Debug)]
struct Reversed {
    /// The axis of time is the first, and that of sequences the second, or the other way round.
    time_first: bool,
}

pub(super) fn reverse_sequence(attributes: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    let time = attributes.int("time_axis")?.unwrap_or(0);
    let batch = attributes.int("batch_axis")?.unwrap_or(1);
    match (time, batch) {
        (0, 1) => Ok(Arc::new(Reversed { time_first: true })),
        (1, 0) => Ok(Arc::new(Reversed { time_first: false })),
        _ => bail!("time_axis is {time} and batch_axis {batch}, not 0 and 1 or 1 and 0"),
    }
}

impl Reversed {
    fn turned<T: Datum>(&self, input: &Tensor, lengths: &[i64]) -> TractResult<Tensor> {
        let [first, second, ..] = *input.shape() else { bail!("expected two axes or more") };
        let (steps, sequences) = if self.time_first { (first, second) } else { (second, first) };
        ensure!(
            lengths.len() == sequences,
            "there are {} lengths for {sequences} sequences",
            lengths.len()
        );
        ensure!(
            lengths.iter().all(|length| (0..=steps as i64).contains(length)),
            "a length is not one of 0 to {steps}"
        );
        let inner: usize = input.shape()[2..].iter().product();
        let values = elements::<T>(input)?;
        let mut out = Vec::with_capacity(values.len());
        for (outer, along) in (0..first).flat_map(|one| (0..second).map(move |other| (one, other)))
        {
            let (step, sequence) = if self.time_first { (outer, along) } else { (along, outer) };
            let length = lengths[sequence] as usize;
            let from = if step < length { length - 1 - step } else { step };
            let (outer, along) = if self.time_first { (from, sequence) } else { (sequence, from) };
            let start = (outer * second + along) * inner;
            out.extend_from_slice(&values[start..start + inner]);
        }
        tensor(input.shape(), out)
    }
}

impl Kernel for Reversed {
    fn name(&self) -> &'static str {
        "ReverseSequence"
    }

    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        let [input, lengths] = inputs else { bail!("expected two inputs, found {}", inputs.len()) };
        ensure!(
            input.shape.len() >= 2 && lengths.shape.len() == 1,
            "expected sequences of 2 axes or more and lengths of 1"
        );
        Ok(tvec!(input.clone()))
    }

    fn run(&self, inputs: &[Arc<Tensor>]) -> TractResult<TVec<Tensor>> {
        let [input, lengths] = inputs else { bail!("expected two inputs, found {}", inputs.len()) };
        let lengths = lengths.cast_to::<i64>()?;
        let lengths = elements::<i64>(&lengths)?;
        let turned = dispatch_datum!(Self::turned(input.datum_type())(self, input, lengths))?;
        Ok(tvec!(turned))
    }
}
