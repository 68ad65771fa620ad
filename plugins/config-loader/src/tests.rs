//! The commands, over files of the test.

use std::fs;

use super::*;
use octa_test_kit::{TestKernel, json};
use serde_json::Value;
use tempfile::TempDir;

fn bench() -> Result<(TestKernel, TempDir)> {
    let directory = tempfile::tempdir()?;
    let mut builder = TestKernel::plugin::<ConfigLoader>()
        .config(json!({ "directory": directory.path().join("inside") }));
    for command in [
        "LOAD_CONFIG",
        "GET_CONFIG",
        "LIST_CONFIGS",
        "RELOAD_CONFIG",
        "CLEAR_CONFIG",
    ] {
        builder = builder.allow("provide", command);
    }
    fs::create_dir(directory.path().join("inside"))?;
    Ok((builder.start()?, directory))
}

#[test]
fn commands_work_on_one_file() -> Result<()> {
    let (bench, directory) = bench()?;
    let path = directory.path().join("inside/app.toml");
    let app = json!({ "name": "app.toml" });
    fs::write(&path, "port = 80\nborn = 1979-05-27")?;
    let first: ConfigPayload = bench.call("LOAD_CONFIG", &app)?;
    assert_eq!(
        first.content,
        json!({ "port": 80, "born": "1979-05-27" }).into()
    );
    fs::write(&path, "port = 81")?;
    assert_eq!(bench.call::<ConfigPayload>("GET_CONFIG", &app)?, first);
    let second: ConfigPayload = bench.call("RELOAD_CONFIG", &app)?;
    assert_eq!(
        (second.revision, &second.content),
        (2, &json!({ "port": 81 }).into())
    );
    fs::write(&path, "port = ")?;
    let error = bench
        .call::<Value>("RELOAD_CONFIG", &app)
        .expect_err("no TOML");
    assert!(
        error.message().starts_with("`app.toml` is not Toml: "),
        "{error}"
    );
    assert_eq!(bench.call::<ConfigPayload>("GET_CONFIG", &app)?, second);
    assert_eq!(
        bench.call::<Vec<String>>("LIST_CONFIGS", &())?,
        ["app.toml"]
    );
    assert_eq!(bench.call::<usize>("CLEAR_CONFIG", &json!({}))?, 1);
    let error = bench
        .call::<Value>("GET_CONFIG", &app)
        .expect_err("cleared");
    assert_eq!(error.hint(), Some("load it with `LOAD_CONFIG`"));
    bench.stop();
    Ok(())
}

#[test]
fn nothing_outside_is_read() -> Result<()> {
    let (bench, directory) = bench()?;
    let secret = directory.path().join("secret.json");
    fs::write(&secret, "1")?;
    #[cfg(unix)]
    std::os::unix::fs::symlink(&secret, directory.path().join("inside/link.json"))?;
    let absolute = secret.display().to_string();
    for name in [
        "../secret.json",
        &absolute,
        "link.json",
        "./../secret.json",
        "a.yaml",
        "",
    ] {
        let error = bench.call::<Value>("LOAD_CONFIG", &json!({ "name": name }));
        let error = error.expect_err(name);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}: {error}");
    }
    let absent = bench.call::<Value>("LOAD_CONFIG", &json!({ "name": "absent.json" }));
    assert_eq!(absent.expect_err("absent").kind(), ErrorKind::NotFound);
    bench.stop();
    Ok(())
}

#[test]
fn health_falls_with_files_that_cannot_be_read_again() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let loader = ConfigLoader::create(Settings {
        directory: directory.path().to_owned(),
    })?;
    let named = |name: &str| Named {
        name: name.to_owned(),
    };
    for name in ["a.json", "b.json"] {
        fs::write(directory.path().join(name), "{}")?;
        loader.load(named(name))?;
    }
    assert_eq!(loader.health(), 1.0);
    fs::remove_file(directory.path().join("a.json"))?;
    assert!(loader.reload(named("a.json")).is_err());
    assert_eq!(loader.health(), 0.5);
    Ok(())
}
