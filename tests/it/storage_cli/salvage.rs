//! What can still be read of a damaged database comes into a new one.

use super::*;

/// The place of a text in a file that has it once.
fn place(bytes: &[u8], part: &str) -> usize {
    let mut places = bytes.windows(part.len());
    let place = places.position(|found| found == part.as_bytes());
    place.expect("it is in the file")
}

#[test]
fn what_can_be_read_of_a_damaged_file_is_saved() {
    run(async {
        let home = Home::empty();
        fill(&database(&home), "history", 2_000).await;
        let (file, new) = (text(&database(&home)), text(&home.root().join("saved.db")));
        let mut bytes = fs::read(&file).expect("a file");
        let value = place(&bytes, "{\"at\":1876}");
        bytes[value + 6] ^= 1;
        // The whole page with another record.
        let page = place(&bytes, "{\"at\":1234}") / 4_096 * 4_096;
        bytes[page..page + 4_096].fill(0);
        fs::write(&file, &bytes).expect("it is damaged");

        let refused = home.octa(&["stats"]);
        assert_eq!(refused.code, 1, "{refused:?}");
        let hint = "with neither, save what can be read: `octa storage salvage --to NEW`";
        assert!(refused.stderr.contains(hint), "{refused:?}");

        let salvage = ["storage", "salvage", &file, "--to", &new];
        let saved = octa(&home, &[&salvage[..], &["--json"]].concat());
        assert_eq!(saved.code, 0, "{saved:?}");
        let answer: Value = serde_json::from_str(&saved.stdout).expect("an envelope");
        let data = &answer["data"];
        let records = data["records"].as_u64().expect("a number");
        assert!((1_800..1_999).contains(&records), "{data}");
        let missing = &data["missing"][0];
        assert_eq!(missing["namespace"], "history");
        assert_eq!(
            (&missing["saved"], &missing["of"]),
            (&json!(records), &json!(2_000))
        );
        let lost: Vec<_> = data["lost"].as_array().expect("a list").iter().collect();
        assert_eq!(lost.len(), 2, "{data}");
        let between = lost[0].as_str().expect("a text");
        assert!(
            between.starts_with("what was between `history/k/01"),
            "{between}"
        );
        assert_eq!(
            lost[1],
            "record `history/k/01876`: it does not match its checksum"
        );
        assert_eq!(fs::read(&file).expect("a file"), bytes, "it was only read");

        let again = octa(&home, &salvage);
        assert_eq!(again.code, 1, "{again:?}");
        assert!(
            again
                .stderr
                .contains("is there already, expected a new file"),
            "{again:?}"
        );
        let own = octa(
            &home,
            &["storage", "salvage", &file, "--to", &file, "--force"],
        );
        assert_eq!(own.code, 3, "{own:?}");
        assert!(
            own.stderr.contains("belongs to the damaged storage"),
            "{own:?}"
        );

        // The way on that it tells.
        let told = octa(&home, &[&salvage[..], &["--force"]].concat());
        let hint = "to go on with it: `octa storage restore HOME/saved.db --force`";
        assert!(told.stdout.contains(hint), "{told:?}");
        let restored = home.octa(&["restore", &new, "--force"]);
        assert_eq!(restored.code, 0, "{restored:?}");
        assert_eq!(home.answer(&["stats"])["records"], records);
        home.check(&["get", "history", "k/01999"], 0, "{\"at\":1999}\n");
    });
}

#[test]
fn a_storage_in_use_and_what_is_no_storage_are_not_salvaged() {
    run(async {
        let home = Home::empty();
        fill(&database(&home), "history", 10).await;
        let (file, new) = (text(&database(&home)), text(&home.root().join("saved.db")));
        let salvage = |file: &str| octa(&home, &["storage", "salvage", file, "--to", &new]);
        let open = Sqlite::open(database(&home)).expect("it opens");
        let refused = salvage(&file);
        assert_eq!(refused.code, 3, "{refused:?}");
        assert!(
            refused.stderr.contains("is in use by another kernel"),
            "{refused:?}"
        );
        open.close().await.expect("it closes");
        let strange = home.root().join("strange.db");
        fs::write(&strange, "no database at all".repeat(400)).expect("a file");
        let refused = salvage(&text(&strange));
        assert_eq!(refused.code, 3, "{refused:?}");
        assert!(
            refused
                .stderr
                .contains("`HOME/strange.db` is not an SQLite database"),
            "{refused:?}"
        );
        let refused = salvage(&text(&home.root().join("none.db")));
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(
            refused.stderr.contains("cannot read `HOME/none.db`"),
            "{refused:?}"
        );
        assert!(!home.root().join("none.db.lock").exists());
        assert!(!Path::new(&new).exists());
        // What is whole is saved whole.
        let saved = salvage(&file);
        assert_eq!(saved.code, 0, "{saved:?}");
        assert!(saved.stdout.contains("nothing is lost"), "{saved:?}");
    });
}

#[test]
fn a_file_that_was_cut_off_is_saved_up_to_there() {
    run(async {
        let home = Home::empty();
        fill(&database(&home), "history", 2_000).await;
        let file = database(&home);
        let bytes = fs::read(&file).expect("a file");
        fs::write(&file, &bytes[..bytes.len() / 2]).expect("it is cut off");
        let new = text(&home.root().join("saved.db"));
        // The configured storage, if no other is named.
        let saved = home.answer(&["salvage", "--to", &new]);
        let records = saved["records"].as_u64().expect("a number");
        assert!((500..1_500).contains(&records), "{saved}");
        assert_eq!(saved["missing"][0]["of"], 2_000, "{saved}");
    });
}

#[test]
fn a_storage_of_which_nothing_is_left_is_told() {
    run(async {
        let home = Home::empty();
        fill(&database(&home), "history", 2_000).await;
        let file = database(&home);
        let mut bytes = fs::read(&file).expect("a file");
        bytes[4_096..].fill(0xff);
        fs::write(&file, &bytes).expect("it is damaged");
        let new = home.root().join("saved.db");
        let refused = home.octa(&["salvage", "--to", &text(&new)]);
        assert_eq!(refused.code, 3, "{refused:?}");
        let told = "error: nothing can be saved of `HOME/data/octa.db`: everything: ";
        assert!(refused.stderr.starts_with(told), "{refused:?}");
        assert!(!new.exists());

        bytes[..16].fill(0);
        fs::write(&file, &bytes).expect("it is damaged");
        let refused = home.octa(&["stats"]);
        let told = "error: storage `HOME/data/octa.db` is damaged: its beginning is not that of an SQLite database\n";
        assert!(refused.stderr.starts_with(told), "{refused:?}");
    });
}
