//! Finds the photos of each person: one folder for each, with pictures anywhere inside.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

/// Files with these extensions are taken for pictures; their bytes tell what they really are. HEIC
/// is among them so that it is named as skipped.
const EXTENSIONS: [&str; 9] = [
    "jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "heic", "heif",
];

/// Where a picture's source (its terminal or camera) stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceFrom {
    /// The folder inside the person's: `DIR/anna/gate-3/1.jpg`. Pictures that lie in the person's
    /// folder itself have none.
    #[default]
    Folder,
    /// The file's name up to its first underscore: `DIR/anna/gate-3_1.jpg`.
    Prefix,
}

/// A picture of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub path: PathBuf,
    /// Index into [`Dataset::persons`].
    pub person: usize,
    /// The terminal or camera that it comes from, if that is known.
    pub source: Option<String>,
}

/// What a folder holds, in the order of names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dataset {
    /// Names of the persons' folders.
    pub persons: Vec<String>,
    /// All pictures.
    pub pictures: Vec<Picture>,
    /// Pictures that lie in no person's folder.
    pub homeless: Vec<PathBuf>,
}

/// Why there is nothing to evaluate.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The folder, or something in it, cannot be read.
    #[error("{folder} cannot be read: {error}", folder = .0.display(), error = .1)]
    Folder(PathBuf, #[source] walkdir::Error),
    /// A file is named in place of the folder.
    #[error("{} is a file; give a folder that holds a folder of pictures for each person", .0.display())]
    File(PathBuf),
    /// The folder has no pictures in the expected places.
    #[error("{folder} holds no pictures in folders of persons; expected is {folder}/PERSON/PICTURE.jpg", folder = .0.display())]
    NoPictures(PathBuf),
}

/// Lists the pictures under `folder`. Hidden files and folders are left out, links are followed.
///
/// # Errors
/// If it is a file, cannot be read, or holds no picture in a person's folder.
pub fn find(folder: &Path, source_from: SourceFrom) -> Result<Dataset, DatasetError> {
    if folder.is_file() {
        return Err(DatasetError::File(folder.to_owned()));
    }
    let mut found = Dataset::default();
    let is_hidden = |entry: &DirEntry| entry.file_name().to_string_lossy().starts_with('.');
    let entries = WalkDir::new(folder)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry));
    for entry in entries {
        let entry = entry.map_err(|error| DatasetError::Folder(folder.to_owned(), error))?;
        if !entry.file_type().is_file() || !is_picture(entry.path()) {
            continue;
        }
        let inside = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let parts: Vec<_> = inside.iter().map(OsStr::to_string_lossy).collect();
        let [person, between @ .., name] = &parts[..] else {
            found.homeless.push(entry.path().to_owned());
            continue;
        };
        if found.persons.last().is_none_or(|last| last != person) {
            found.persons.push(person.to_string());
        }
        found.pictures.push(Picture {
            person: found.persons.len() - 1,
            source: match source_from {
                SourceFrom::Folder => between.first().map(ToString::to_string),
                SourceFrom::Prefix => name.split_once('_').map(|(prefix, _)| prefix.to_owned()),
            },
            path: entry.path().to_owned(),
        });
    }
    if found.pictures.is_empty() {
        return Err(DatasetError::NoPictures(folder.to_owned()));
    }
    Ok(found)
}

fn is_picture(path: &Path) -> bool {
    let is = |extension: &OsStr| EXTENSIONS.iter().any(|e| extension.eq_ignore_ascii_case(e));
    path.extension().is_some_and(is)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn persons_sources_and_what_is_no_one_s_are_told_apart() {
        let folder = tempfile::TempDir::new().unwrap();
        for name in [
            "anna/gate-3/1.JPG",
            "anna/2.png",
            "ben/door_7.webp",
            "ben/notes.txt",
            ".cache/x/3.jpg",
            "stray.jpg",
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        let by_folder = find(folder.path(), SourceFrom::Folder).unwrap();
        assert_eq!(by_folder.persons, ["anna", "ben"]);
        let seen = |dataset: &Dataset| -> Vec<(usize, Option<String>)> {
            let pictures = dataset.pictures.iter();
            pictures
                .map(|picture| (picture.person, picture.source.clone()))
                .collect()
        };
        let gate = || Some("gate-3".to_owned());
        assert_eq!(seen(&by_folder), [(0, None), (0, gate()), (1, None)]);
        assert_eq!(by_folder.homeless, [folder.path().join("stray.jpg")]);
        let by_prefix = find(folder.path(), SourceFrom::Prefix).unwrap();
        assert_eq!(seen(&by_prefix)[2], (1, Some("door".to_owned())));
    }

    #[test]
    fn a_folder_without_persons_says_what_is_expected() {
        let folder = tempfile::TempDir::new().unwrap();
        fs::write(folder.path().join("1.jpg"), b"").unwrap();
        let error = find(folder.path(), SourceFrom::Folder).unwrap_err();
        assert!(error.to_string().contains("PERSON/PICTURE.jpg"), "{error}");
        let error = find(&folder.path().join("1.jpg"), SourceFrom::Folder).unwrap_err();
        assert!(error.to_string().contains("is a file"), "{error}");
        let error = find(&folder.path().join("gone"), SourceFrom::Folder).unwrap_err();
        assert!(matches!(error, DatasetError::Folder { .. }), "{error}");
    }
}
