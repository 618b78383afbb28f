//! Finds the photos: a folder with `named`, `wild`, `single` and `masked`, and the pictures of
//! things and people that packages ship.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::TrainingError;

/// What is known of a photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Good photos, several of each person, with correct labels.
    Named,
    /// Photos of any quality, several of each person; some labels are wrong.
    Wild,
    /// One good photo of a person.
    Single,
    /// Ordinary press photos, a few of each person, with correct labels. Every second person is
    /// left to `scripts/score-report` and never learnt from.
    Press,
    /// A face that is not whole.
    Masked,
    /// Things, textures, letters: no face.
    Object,
    /// A picture that a package ships, of one person or several. Each face counts as that person's
    /// single photo.
    Package,
}

/// One photo of the collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Photo {
    /// Absolute, or relative to the current folder.
    pub path: PathBuf,
    /// What is known of the photo.
    pub group: Group,
    /// The person's number within the collection; a photo of nobody has a number of its own.
    /// Pictures of one package share a number, because some of them show the same people.
    pub person: u32,
}

/// Finds the photos below `photos` and the packages' pictures below `sources`, in an order that
/// does not depend on the file system. `every` takes only each n-th person (or photo of nobody),
/// for a quick try.
///
/// # Errors
/// If a folder cannot be read, or a group has no photos.
pub fn find(photos: &Path, sources: &Path, every: u32) -> Result<Vec<Photo>, TrainingError> {
    let mut found = Vec::new();
    let mut person = 0;
    for (group, folder) in [
        (Group::Named, photos.join("named")),
        (Group::Wild, photos.join("wild")),
        (Group::Single, photos.join("single")),
        (Group::Masked, photos.join("masked")),
        (Group::Object, sources.join("objects")),
        // Last, so that they change no other photo's number and copies.
        (Group::Package, sources.join("people")),
        (Group::Press, photos.join("press")),
    ] {
        // Whoever trains on own photos may do without.
        if group == Group::Press && !folder.is_dir() {
            continue;
        }
        let paths = pictures(&folder)?;
        if paths.is_empty() {
            return Err(TrainingError::NoPhotos(folder));
        }
        let mut last_parent = None;
        let has_folders = !matches!(group, Group::Single | Group::Masked | Group::Object);
        let mut folders = 0;
        for path in paths {
            let parent = path.parent().map(Path::to_owned);
            if has_folders && parent != last_parent {
                folders += 1;
            }
            let is_reported = group == Group::Press && folders % 2 == 0;
            if !is_reported && (!has_folders || parent != last_parent) {
                person += 1;
            }
            last_parent = parent;
            if is_reported {
                continue;
            }
            if person % every.max(1) == 0 {
                found.push(Photo {
                    path,
                    group,
                    person,
                });
            }
        }
    }
    Ok(found)
}

/// Every picture below `folder`, sorted by path.
fn pictures(folder: &Path) -> Result<Vec<PathBuf>, TrainingError> {
    let mut paths = Vec::new();
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.map_err(|error| TrainingError::Folder(folder.to_owned(), error))?;
        let extension = entry.path().extension();
        if entry.file_type().is_file() && extension.is_some_and(|of| of == "jpg" || of == "png") {
            paths.push(entry.into_path());
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Empty files at these places.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, []).unwrap();
        }
        folder
    }

    fn collection() -> tempfile::TempDir {
        folder(&[
            "photos/named/a/1.jpg",
            "photos/named/a/2.jpg",
            "photos/named/b/1.jpg",
            "photos/wild/c/1.jpg",
            "photos/single/1.jpg",
            "photos/single/2.png",
            "photos/single/notes.txt",
            "photos/masked/1.jpg",
            "photos/press/d/1.jpg",
            "photos/press/d/2.jpg",
            "photos/press/e/1.jpg",
            "photos/press/f/1.jpg",
            "sources/objects/stone.png",
            "sources/people/one/x.jpg",
            "sources/people/one/y.jpg",
            "sources/people/two/z.jpg",
        ])
    }

    fn found(folder: &Path, every: u32) -> Vec<(Group, u32)> {
        find(&folder.join("photos"), &folder.join("sources"), every)
            .unwrap()
            .into_iter()
            .map(|photo| (photo.group, photo.person))
            .collect()
    }

    #[test]
    fn people_have_a_number_each_and_packages_one_together() {
        let folder = collection();
        let expected = [
            (Group::Named, 1),
            (Group::Named, 1),
            (Group::Named, 2),
            (Group::Wild, 3),
            (Group::Single, 4),
            (Group::Single, 5),
            (Group::Masked, 6),
            (Group::Object, 7),
            (Group::Package, 8),
            (Group::Package, 8),
            (Group::Package, 9),
            // The second of each two is left to the report.
            (Group::Press, 10),
            (Group::Press, 10),
            (Group::Press, 11),
        ];
        assert_eq!(found(folder.path(), 1), expected);
        let third: Vec<_> = expected
            .into_iter()
            .filter(|(_, person)| person % 3 == 0)
            .collect();
        assert_eq!(found(folder.path(), 3), third);
    }

    #[test]
    fn press_photos_may_be_missing_and_no_other_group() {
        let folder = collection();
        fs::remove_dir_all(folder.path().join("photos/press")).unwrap();
        assert_eq!(found(folder.path(), 1).len(), 11);
        fs::remove_file(folder.path().join("photos/masked/1.jpg")).unwrap();
        let (photos, sources) = (folder.path().join("photos"), folder.path().join("sources"));
        let error = find(&photos, &sources, 1).unwrap_err();
        assert!(matches!(error, TrainingError::NoPhotos { .. }), "{error}");
        assert!(error.to_string().contains("masked"), "{error}");
    }
}
