//! Why a file of the plugin directory is no plugin.

use super::{Cause, Why};
use crate::status::RejectedFile;

pub(super) fn rejected(file: &RejectedFile) -> Why {
    let path = file.path.display().to_string();
    let text = format!("`{path}` is rejected");
    let problem = Why::new(Cause::RejectedFile, &path, &file.problem.message);
    Why::new(Cause::RejectedFile, &path, text).because([problem.hint(file.problem.hint.clone())])
}
