//! What convolutions have to do: what they are called in a profile, and how much they multiply.

use super::convolution::Convolution;
use super::depthwise::Depthwise;
use super::patches::Patches;

impl Convolution {
    /// What it is called in a profile.
    pub(in crate::runtime) fn form(&self) -> String {
        let [rows, columns] = self.window.size;
        let way = if self.patches.is_some() { " in patches" } else { "" };
        format!("convolution {rows}x{columns}{way}")
    }

    /// Multiplications without those of lanes that mean nothing.
    pub(in crate::runtime) fn products(&self) -> usize {
        let given = match &self.patches {
            Some(patches) => patches.places() * patches.count() * self.output.channels,
            None => self.window.taps() * self.output.values(),
        };
        given * self.input.channels
    }

    /// Multiplications: by each weight, for each pixel or patch.
    pub(in crate::runtime) fn work(&self) -> usize {
        let pixels = self.output.height * self.output.width;
        self.weights.len() * self.patches.as_ref().map_or(pixels, Patches::count)
    }
}

impl Depthwise {
    /// Multiplications without those of lanes that mean nothing.
    pub(in crate::runtime) fn products(&self) -> usize {
        self.window.taps() * self.output.values()
    }
}
