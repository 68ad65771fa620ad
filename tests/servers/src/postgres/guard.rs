//! Ends a server and removes its directory once the process that started it is gone, however it went.

use std::io;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use super::owner::Owner;

/// Waits for the end of its input, which comes when the other end is closed: by us, or by the death of this
/// process. A signal at a parent's death would come with the death of one thread, which tests end by the dozen.
const SCRIPT: &str = r#"
read -r _
"$1" stop -s -m immediate -D "$2/data"
rm -rf -- "$2"
"#;

/// The process that waits.
#[derive(Debug)]
pub(super) struct Guard {
    waiting: Child,
    /// Closed to let it go on.
    input: Option<ChildStdin>,
}

impl Guard {
    pub(super) fn start(pg_ctl: &Path, directory: &Path, owner: &Owner) -> io::Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", SCRIPT, "guard"])
            .args([pg_ctl, directory])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What a terminal sends to end the tests is not for it.
            .process_group(0);
        owner.run(&mut shell);
        let mut waiting = shell.spawn()?;
        let input = waiting.stdin.take();
        Ok(Self { waiting, input })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.input.take());
        // Its outcome has no hearer.
        drop(self.waiting.wait());
    }
}
