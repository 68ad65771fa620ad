//! The program that carries plugins apart from the kernel. The kernel starts it.

use std::process::ExitCode;

fn main() -> ExitCode {
    octa_worker::entry().unwrap_or_else(|| {
        eprintln!("this program is started by the Octamillia kernel, to carry plugins for it");
        ExitCode::from(64)
    })
}
