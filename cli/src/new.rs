//! Writes the crate of a new plugin, which builds and runs as it is.

mod error;
mod name;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::answer::{Answer, Meta, VERSION, raw};
use crate::args;
use crate::failure::Failure;
use crate::output;
use error::NewError;

/// The crates that this program was built with; they lie there if it runs where it was built.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Writes the crate.
pub(crate) fn new(typed: &args::New, json: bool) -> Result<(), Failure> {
    name::check(&typed.name)?;
    let directory = match typed.path.as_path() {
        here if here == Path::new(".") => PathBuf::from(&typed.name),
        parent => parent.join(&typed.name),
    };
    write(&directory, &files(&typed.name, Path::new(WORKSPACE)))?;
    if json {
        let data = raw(&json!({ "name": typed.name, "path": directory }))?;
        output::print(&Answer::of(data, Meta::local()).to_line())?;
    } else {
        let path = directory.display();
        output::print(&format!(
            "wrote `{path}`; go on with:\n  cd {path}\n  octa dev"
        ))?;
    }
    Ok(())
}

/// The crate's files, by their paths in it.
fn files(name: &str, workspace: &Path) -> [(&'static str, String); 5] {
    let test_kit = local(workspace, "test-kit");
    let mut library = include_str!("../templates/lib.rs.in").to_owned();
    let mut dev_dependencies = String::new();
    if let Some(test_kit) = test_kit {
        library += include_str!("../templates/tests.rs.in");
        dev_dependencies = format!("\n[dev-dependencies]\nocta-test-kit = {test_kit}\n");
    }
    let plugin_api = local(workspace, "plugin-api").unwrap_or_else(|| format!("\"{VERSION}\""));
    let fill = |template: &str| {
        let named = template.replace("{{name}}", name);
        let told = named.replace("{{plugin-api}}", &plugin_api);
        told.replace("{{dev-dependencies}}", &dev_dependencies)
    };
    [
        (
            "Cargo.toml",
            fill(include_str!("../templates/Cargo.toml.in")),
        ),
        ("src/lib.rs", fill(&library)),
        ("octa.toml", fill(include_str!("../templates/octa.toml.in"))),
        ("README.md", fill(include_str!("../templates/README.md.in"))),
        (".gitignore", "/target\n".to_owned()),
    ]
}

/// A dependency on a crate that lies beside this program's own.
fn local(workspace: &Path, room: &str) -> Option<String> {
    let path = workspace.join(room).canonicalize().ok()?;
    let path = path.join("Cargo.toml").is_file().then_some(path)?;
    let quoted = toml::Value::from(path.to_str()?).to_string();
    Some(format!("{{ path = {quoted} }}"))
}

/// Writes all files into a directory that must not be there yet, or none.
fn write(directory: &Path, files: &[(&str, String)]) -> Result<(), NewError> {
    let unwritable = |path: PathBuf| move |source| NewError::Unwritable { path, source };
    match fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(NewError::Exists {
            path: directory.to_owned(),
        }),
        made => made.map_err(unwritable(directory.to_owned())),
    }?;
    let written = fs::create_dir(directory.join("src"))
        .map_err(unwritable(directory.join("src")))
        .and_then(|()| {
            files.iter().try_for_each(|(name, text)| {
                let path = directory.join(name);
                fs::write(&path, text).map_err(unwritable(path))
            })
        });
    if written.is_err() {
        // The directory is ours; half a crate is of no use.
        drop(fs::remove_dir_all(directory));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(workspace: &Path, name: &str) -> String {
        let files = files("lamp", workspace);
        let found = files.into_iter().find(|(is, _)| *is == name);
        found.expect("a file of the crate").1
    }

    #[test]
    fn the_authors_part_is_small() {
        let library = file(Path::new("/nowhere"), "src/lib.rs");
        let lines = library.lines().filter(|line| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with("//")
        });
        let count = lines.count();
        assert!(count <= 30, "{count} lines");
        assert!(!library.contains("unsafe"));
    }

    #[test]
    fn every_place_is_filled_in() {
        for workspace in [Path::new(WORKSPACE), Path::new("/nowhere")] {
            for (name, text) in files("lamp", workspace) {
                assert!(!text.contains("{{"), "{name}: {text}");
            }
        }
    }

    #[test]
    fn it_depends_on_what_this_program_was_built_from() {
        let here: toml::Table = file(Path::new(WORKSPACE), "Cargo.toml")
            .parse()
            .expect("TOML");
        let path = here["dependencies"]["octa-plugin-api"]["path"].as_str();
        let path = Path::new(path.expect("a path"));
        assert!(path.join("src/lib.rs").is_file(), "{}", path.display());
        let away: toml::Table = file(Path::new("/nowhere"), "Cargo.toml")
            .parse()
            .expect("TOML");
        assert_eq!(
            away["dependencies"]["octa-plugin-api"].as_str(),
            Some(VERSION)
        );
        assert!(!away.contains_key("dev-dependencies"));
    }

    #[test]
    fn its_configuration_is_one() {
        let text = file(Path::new(WORKSPACE), "octa.toml");
        octa_kernel::Config::parse(&text, "octa.toml").expect("a configuration");
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        let parent = tempfile::tempdir().expect("a directory");
        let directory = parent.path().join("lamp");
        let files = [("octa.toml", "a".to_owned())];
        write(&directory, &files).expect("a crate");
        let error = write(&directory, &[("octa.toml", "b".to_owned())]).expect_err("taken");
        assert!(matches!(error, NewError::Exists { .. }), "{error}");
        let text = fs::read_to_string(directory.join("octa.toml")).expect("a file");
        assert_eq!(text, "a");
    }

    #[test]
    fn half_a_crate_is_taken_back() {
        let parent = tempfile::tempdir().expect("a directory");
        let directory = parent.path().join("lamp");
        let files = [("a", String::new()), ("no/such/b", String::new())];
        write(&directory, &files).expect_err("nowhere to write to");
        assert!(!directory.exists());
    }
}
