//! What can be asked about.

use octa_kernel::Cause;

use crate::home::{Home, run};

#[test]
fn a_file_that_is_no_plugin() {
    run(async {
        let home = Home::with(&["no-manifest"]);
        home.put("libtext_file", b"text");
        let running = home.start().await;
        let expect = "\
`HOME/plugins/libtext_file.so` is rejected
  file `HOME/plugins/libtext_file.so` is not a library: expected an ELF shared object, found text
    hint: build the plugin and copy the finished library here, or remove this file";
        let path = running.home.plugins().join("libtext_file.so");
        for name in ["libtext_file.so", "text-file", &path.display().to_string()] {
            let why = running.kernel.why(name).expect("it is known");
            assert_eq!(why.cause, Cause::RejectedFile);
            assert_eq!(running.home.anonymous(&why.to_string()), expect, "{name}");
        }
        let unknown = |name| {
            let problem = running.kernel.why(name).expect_err("nothing is called so");
            running.told(&problem)
        };
        let nothing = "not-found: there is no plugin, no rejected file and no capability";
        assert_eq!(
            unknown("neighbuor"),
            format!("{nothing} `neighbuor` (hint: did you mean `neighbour`?)")
        );
        assert_eq!(
            unknown("neighbour.ecko"),
            format!("{nothing} `neighbour.ecko` (hint: did you mean `neighbour.echo`?)")
        );
        assert_eq!(
            unknown("text-fiel"),
            format!("{nothing} `text-fiel` (hint: did you mean `text-file`?)")
        );
        assert_eq!(
            unknown("nothing-like-it"),
            format!(
                "{nothing} `nothing-like-it` (hint: `octa list` shows the plugins and files there are, `octa capabilities` what can be called)"
            )
        );
        running.end().await;
    });
}
