//! A plugin directory that is none.

use std::{env, fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use octa_kernel::Kernel;

use crate::{
    fixtures,
    home::{Home, run},
};

/// Checks why a kernel over `path` does not start.
async fn check(home: &Home, path: &Path, expect: &str) {
    let kernel = Kernel::builder()
        .plugins(path)
        .data(home.data())
        .build()
        .expect("a kernel");
    let error = kernel.start().await.expect_err("no plugins can be there");
    let hint = error.hint().map(|hint| format!(" (hint: {hint})"));
    assert_eq!(
        home.anonymous(&format!("{error}{}", hint.unwrap_or_default())),
        expect
    );
}

#[test]
fn missing() {
    run(async {
        let home = Home::empty();
        check(
            &home,
            &home.plugins().join("nowhere"),
            "plugin directory `HOME/plugins/nowhere` does not exist (hint: create it, for \
                example with `mkdir -p HOME/plugins/nowhere`)",
        )
        .await;
    });
}

#[test]
fn a_file() {
    run(async {
        let home = Home::empty();
        let file = home.put("file", b"");
        check(
            &home,
            &file,
            "plugin directory `HOME/plugins/file.so` is a file, expected a directory \
                (hint: name the directory that holds it: `HOME/plugins`)",
        )
        .await;
    });
}

/// Tells this program, run again, that it has no privileges.
const UNPRIVILEGED: &str = "OCTA_TESTS_UNPRIVILEGED";

/// Runs `scenario` where permissions hold: root reads everything, unless it gives that up.
fn without_privileges(test: &str, scenario: impl FnOnce()) {
    if !rustix::process::geteuid().is_root() || fixtures::variable(UNPRIVILEGED).is_some() {
        return scenario();
    }
    let mut again = Command::new("setpriv");
    again.args(["--bounding-set=-all", "--inh-caps=-all"]);
    again
        .arg(env::current_exe().expect("this program"))
        .args(["--exact", test]);
    let output = again
        .env(UNPRIVILEGED, "1")
        .output()
        .expect("`setpriv` of util-linux runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{told}"
    );
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

#[test]
fn unreadable() {
    without_privileges("directory::unreadable", || {
        run(async {
            let home = Home::empty();
            set_mode(&home.plugins(), 0o000);
            check(
                &home,
                &home.plugins(),
                "plugin directory `HOME/plugins` cannot be read (hint: give the user that runs \
                the kernel permission to list it)",
            )
            .await;
            set_mode(&home.plugins(), 0o700);
        });
    });
}

#[test]
fn an_unreadable_file() {
    without_privileges("directory::an_unreadable_file", || {
        run(async {
            let home = Home::with(&[]);
            set_mode(&home.put("locked", b""), 0o000);
            let running = home.start().await;
            running.check_rejected(&[
                "rejected: file `HOME/plugins/locked.so` cannot be opened: Permission denied \
                (os error 13) (hint: give the user that runs the kernel permission to read \
                it: `chmod u+r HOME/plugins/locked.so`)",
            ]);
            running.end().await;
        });
    });
}

#[test]
fn a_data_directory_that_is_a_file() {
    run(async {
        let home = Home::with(&[]);
        fs::write(home.data(), "").expect("a file");
        let error = home.builder().build().expect_err("there is no room");
        let hint = error.hint().expect("a hint");
        assert_eq!(
            home.anonymous(&format!("{error} (hint: {hint})")),
            "cannot use the data directory `HOME/data` \
             (hint: make `HOME/data` a directory that this user may write)"
        );
    });
}
