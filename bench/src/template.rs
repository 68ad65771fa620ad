//! Many plugins of one compiled file, each under a name of its own.

use anyhow::{Result, ensure};

/// A plugin's file in which a text is replaced by another one that is as long: what a compiler
/// would have made of that.
pub(crate) struct Template {
    file: Vec<u8>,
    length: usize,
    places: Vec<usize>,
}

impl Template {
    /// Finds the text wherever it stands.
    pub(crate) fn of(file: Vec<u8>, text: &str) -> Result<Self> {
        let windows = file.windows(text.len()).enumerate();
        let found = windows.filter(|(_, bytes)| *bytes == text.as_bytes());
        let places: Vec<_> = found.map(|(at, _)| at).collect();
        ensure!(!places.is_empty(), "the plugin's file has no `{text}`");
        Ok(Self {
            file,
            length: text.len(),
            places,
        })
    }

    /// The file with this text.
    pub(crate) fn with(&mut self, text: &str) -> Result<&[u8]> {
        let length = self.length;
        ensure!(text.len() == length, "`{text}` is not {length} bytes long");
        for at in &self.places {
            self.file[*at..][..length].copy_from_slice(text.as_bytes());
        }
        Ok(&self.file)
    }
}
