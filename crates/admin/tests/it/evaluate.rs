//! `evaluate` and `map` over a folder of photos, as an operator runs them.

use std::fs;
use std::path::Path;

use image::RgbImage;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Admin, models, photos};

/// Two "persons": one photo and copies of it, and the same stretched, which the recogniser takes
/// for somebody similar. Besides, a picture without a face, a torn file, a stray one and something
/// that is no picture.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let save = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let clear = photos::pixels(&photos::astronaut());
    let stretched = photos::resized(&clear, 720, 512);
    let jpeg = |picture: &RgbImage| photos::jpeg(picture, 92);
    save("anna/desk/1.jpg", &photos::astronaut());
    save("anna/desk/2.jpg", &jpeg(&photos::resized(&clear, 380, 380)));
    save("anna/gate/3.jpg", &jpeg(&photos::noisy(&clear, 60.0, 3)));
    save("anna/gate/4.jpg", &jpeg(&photos::without_face(320, 240, 3)));
    save("ben/desk/1.jpg", &jpeg(&stretched));
    save("ben/desk/2.jpg", &jpeg(&photos::lit(&stretched, 0.6)));
    save("ben/gate/torn.jpg", &photos::astronaut()[..900]);
    save("ben/notes.txt", b"not a picture");
    save("stray.jpg", &photos::astronaut());
    folder
}

fn evaluate(folder: &TempDir, more: &[&str]) -> Admin {
    let mut arguments = vec!["evaluate", folder.path().to_str().unwrap()];
    arguments.extend(more);
    Admin::run(arguments)
}

/// The page, which loads nothing. Pictures are part of the file.
#[track_caller]
fn is_self_contained(page: &Path) -> String {
    let page = fs::read_to_string(page).unwrap();
    let own = page.replace("=\"data:image/jpeg;base64,", "");
    for foreign in [
        "http:",
        "https:",
        "src=\"",
        "data:image",
        "@import",
        "url(",
        "<script",
    ] {
        assert!(!own.contains(foreign), "{foreign}");
    }
    assert!(page.contains("<svg") && page.ends_with("</html>"));
    page
}

/// The same, and there is no picture of anybody in it.
#[track_caller]
fn is_without_pictures(page: &Path) -> String {
    let page = is_self_contained(page);
    for foreign in ["<img", "<image", "base64"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    page
}

#[test]
fn a_folder_is_measured_alike_on_any_number_of_threads() {
    let folder = folder();
    let page = folder.path().join("report.html");
    let run = evaluate(
        &folder,
        &["--json", "--jobs", "1", "--html", page.to_str().unwrap()],
    )
    .success();
    assert!(
        run.stderr.contains("torn.jpg") && run.stderr.contains("stray.jpg"),
        "{}",
        run.stderr
    );
    let report = run.json();
    assert_eq!(
        run.stdout,
        evaluate(&folder, &["--json", "--jobs", "2"])
            .success()
            .stdout
    );

    let data = &report["data"];
    assert_eq!(
        (&data["persons"], &data["pictures"], &data["captures"]),
        (&2.into(), &8.into(), &5.into())
    );
    assert_eq!(
        (&data["genuine"], &data["impostor"]),
        (&4.into(), &6.into())
    );
    assert_eq!(data["failures_to_acquire"]["errors"], 1);
    assert!(
        data["without_face"][0]
            .as_str()
            .unwrap()
            .ends_with("gate/4.jpg")
    );
    assert_eq!(data["skipped"].as_array().unwrap().len(), 2);
    assert_eq!(report["thresholds"]["edc_from"], "pack");
    let sources = report["sources"].as_array().unwrap();
    let gate = sources
        .iter()
        .find(|source| source["name"] == "gate")
        .unwrap();
    assert_eq!(
        (&gate["captures"], &gate["failures_to_acquire"]),
        (&1.into(), &1.into())
    );
    assert_eq!(report["scenarios"].as_array().unwrap().len(), 4);
    let genuine: u64 = report["histogram"]["genuine"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(genuine, 4);

    let page = is_without_pictures(&page);
    assert!(page.contains("torn.jpg") && page.contains("enroll"));
    let text = evaluate(&folder, &["--source-from", "prefix"])
        .success()
        .stdout;
    for part in [
        "FNMR",
        "quality_score",
        "laplacian_sharpness",
        "pass probability",
        "access",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn the_similarities_are_those_of_compare() {
    let folder = TempDir::new().unwrap();
    let clear = photos::pixels(&photos::astronaut());
    let noisy = photos::jpeg(&photos::noisy(&clear, 60.0, 3), 92);
    fs::create_dir(folder.path().join("anna")).unwrap();
    let files = ["1.jpg", "2.jpg"].map(|name| folder.path().join("anna").join(name));
    fs::write(&files[0], photos::astronaut()).unwrap();
    fs::write(&files[1], noisy).unwrap();
    let [one, other] = files.each_ref().map(|file| file.to_str().unwrap());
    let similarity = Admin::run(["compare", "--json", one, other])
        .success()
        .json()["similarity"]
        .as_f64()
        .unwrap();
    // One comparison: it fails just above its similarity, and not below.
    for (threshold, failures) in [(similarity - 1e-4, 0), (similarity + 1e-4, 1)] {
        let report = evaluate(&folder, &["--json", "--threshold", &threshold.to_string()])
            .success()
            .json();
        let given = report["error_rates"].as_array().unwrap().last().unwrap();
        assert_eq!(given["fnmr_interval"], Value::Null, "one person");
        assert_eq!(
            (&given["name"], &given["fnmr"]["errors"]),
            (&"given".into(), &failures.into())
        );
        assert_eq!(
            report["equal_error_rate"],
            Value::Null,
            "nobody else to be mistaken for"
        );
    }
}

#[test]
fn another_network_is_measured_beside_our_score() {
    let folder = folder();
    // The pack's own network as the rival: its logit is what our score is made of.
    let network = models().join("default/embedder.onnx");
    let network = network.to_str().unwrap();
    let logit = format!("{network}#ood_logit");
    let report = evaluate(
        &folder,
        &["--json", "--against", &logit, "--against-pixels", "raw"],
    )
    .success()
    .json();
    let rival = report["signals"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&rival["name"], &rival["captures"]),
        (&"embedder.onnx#ood_logit".into(), &5.into())
    );
    assert_eq!(rival["comparisons"], 4);

    let run = evaluate(&folder, &["--against", network]).expect_code(1);
    assert!(
        run.stderr.contains("ood_logit") && run.stderr.contains("#OUTPUT"),
        "{}",
        run.stderr
    );
    let run = evaluate(&folder, &["--against", "no/such.onnx"]).expect_code(1);
    assert!(run.stderr.contains("no/such.onnx"), "{}", run.stderr);
}

#[test]
fn what_cannot_be_evaluated_is_said() {
    let folder = TempDir::new().unwrap();
    let run = evaluate(&folder, &[]).expect_code(1);
    assert!(run.stderr.contains("PERSON/PICTURE.jpg"), "{}", run.stderr);
    let run = Admin::run(["evaluate", "tests/photos/astronaut.jpg"]).expect_code(1);
    assert!(run.stderr.contains("is a file"), "{}", run.stderr);
    for person in ["anna", "ben"] {
        fs::create_dir(folder.path().join(person)).unwrap();
        fs::write(
            folder.path().join(person).join("1.jpg"),
            photos::astronaut(),
        )
        .unwrap();
    }
    let run = evaluate(&folder, &[]).expect_code(1);
    assert!(
        run.stderr.contains("2 captures of 2 persons"),
        "{}",
        run.stderr
    );
    for wrong in ["45", "nan"] {
        let run = evaluate(&folder, &["--threshold", wrong]).expect_code(2);
        assert!(run.stderr.contains("-1 to 1"), "{}", run.stderr);
    }
    Admin::run(["evaluate"]).expect_code(2);
    for (option, value, expected) in [
        ("--iso", "7", "100,1600,6400"),
        ("--iso", "x", "100,1600,6400"),
        ("--face-px", "0", "20 to 2000"),
    ] {
        let run = Admin::run(["evaluate", "iso-sweep", "x.jpg", option, value]).expect_code(2);
        assert!(run.stderr.contains(expected), "{}", run.stderr);
    }
    Admin::run(["evaluate", "iso-sweep"]).expect_code(2);
    let run = Admin::run(["evaluate", "iso-sweep", "no/such.jpg"]).expect_code(1);
    assert!(run.stderr.contains("no/such.jpg"), "{}", run.stderr);
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_the_work() {
    // What is to be evaluated is missing too: the place of the report is looked at first.
    for task in [
        &["evaluate", "no/such"][..],
        &["evaluate", "iso-sweep", "no/such.jpg"],
        &["evaluate", "scenarios", "no/such.jpg"],
    ] {
        let arguments = [task, &["--out", "no/folder/report.txt"]].concat();
        let run = Admin::run(arguments).expect_code(1);
        assert!(
            run.stderr.contains("cannot write no/folder/report.txt"),
            "{}",
            run.stderr
        );
    }
    let folder = folder();
    let file = folder.path().join("report.html");
    let file = file.to_str().unwrap();
    let run = evaluate(&folder, &["--html", file, "--out", file]).expect_code(1);
    assert!(run.stderr.contains("give two files"), "{}", run.stderr);
    assert!(!Path::new(file).exists());
}

#[test]
fn noise_takes_score_and_similarity_down_together() {
    let folder = TempDir::new().unwrap();
    let page = folder.path().join("noise.html");
    let photo = "tests/photos/astronaut.jpg";
    let sweep = |more: &[&str]| {
        let mut arguments = vec![
            "evaluate",
            "iso-sweep",
            photo,
            "--iso",
            "100,3200,12800",
            "--shots",
            "2",
        ];
        arguments.extend(more);
        Admin::run(arguments).success()
    };
    let run = sweep(&["--json", "--html", page.to_str().unwrap()]);
    assert_eq!(run.stdout, sweep(&["--json", "--jobs", "1"]).stdout);
    let answer = run.json();
    assert_eq!(
        (&answer["photos"], &answer["shots"]),
        (&1.into(), &2.into())
    );
    let steps = answer["steps"].as_array().unwrap();
    for what in ["score", "similarity"] {
        let means: Vec<f64> = steps
            .iter()
            .map(|step| step[what]["mean"].as_f64().unwrap())
            .collect();
        assert!(
            means.windows(2).all(|pair| pair[0] > pair[1] + 0.02),
            "{what}: {means:?}"
        );
    }
    assert_eq!(steps[0]["grade"], "excellent");
    assert_eq!(steps[2]["below_different"]["of"], 2);
    let page = is_self_contained(&page);
    // The clean photo and each step, with what was measured below.
    assert_eq!(page.matches("<img").count(), 4);
    assert!(
        page.contains("<strong>ISO 12800</strong><div>score 0."),
        "{page}"
    );
    assert!(!page.contains("esign:") && page.contains("target: score, similarity"));
    let text = sweep(&["--reference", photo]).stdout;
    assert!(
        text.contains("compared with tests/photos/astronaut.jpg") && text.contains("▇▇▇"),
        "{text}"
    );
}

#[test]
fn no_field_case_is_accepted_at_a_door() {
    let folder = TempDir::new().unwrap();
    let page = folder.path().join("cases.html");
    let run = Admin::run([
        "evaluate",
        "scenarios",
        "tests/photos/astronaut.jpg",
        "--shots",
        "1",
        "--json",
        "--html",
        page.to_str().unwrap(),
    ])
    .success();
    let page = fs::read_to_string(&page).unwrap();
    assert_eq!(page.matches("<img").count(), 4);
    assert!(page.contains("alt=\"The face: night gate"), "{page}");
    let answer = run.json();
    let cases = answer["cases"].as_array().unwrap();
    let names: Vec<&str> = cases
        .iter()
        .filter_map(|case| case["case"].as_str())
        .collect();
    assert_eq!(names, ["night_gate", "card_on_screen", "far_face"]);
    for case in cases {
        assert_ne!(case["action"], "accept", "{case}");
        assert!(case["score"]["mean"].as_f64().unwrap() < 0.6, "{case}");
        assert!(case["similarity"]["mean"].is_number());
    }
}

#[test]
fn a_map_has_a_dot_for_each_picture_of_a_face() {
    let folder = folder();
    let page = folder.path().join("map.html");
    for method in ["pca", "tsne"] {
        let run = Admin::run([
            "map",
            folder.path().to_str().unwrap(),
            "--iso",
            "1600",
            "--method",
            method,
            "--json",
            "--out",
            page.to_str().unwrap(),
        ])
        .success();
        assert!(run.stderr.contains("torn.jpg"), "{}", run.stderr);
        let answer = run.json();
        let points = answer["points"].as_array().unwrap();
        assert_eq!((&answer["photos"], points.len()), (&5.into(), 10));
        assert!(
            points
                .iter()
                .all(|point| point["at"][0].is_number() && point["score"].is_number())
        );
        let names: Vec<&str> = answer["steps"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|step| step["name"].as_str())
            .collect();
        assert_eq!(names, ["clean", "ISO 1600"]);
        let shown = is_self_contained(&page);
        assert_eq!(shown.matches("<circle").count(), 10);
        assert!(shown.contains("anna") && shown.contains("ISO 1600"));
        // A face for each photo, which its dots share.
        assert_eq!(
            (
                shown.matches("<image").count(),
                shown.matches("<use").count()
            ),
            (5, 10)
        );
        let arguments = [
            "map",
            folder.path().to_str().unwrap(),
            "--iso",
            "1600",
            "--no-pictures",
        ];
        let out = ["--method", method, "--out", page.to_str().unwrap()];
        Admin::run(arguments.into_iter().chain(out)).success();
        assert_eq!(is_without_pictures(&page).matches("<circle").count(), 10);
    }
}
