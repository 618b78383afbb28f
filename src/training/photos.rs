//! Which photos there are: a folder with `named`, `wild`, `single` and `masked`, and one with pictures of things.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::TrainingError;

/// What is known of a photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Good photos of people that the label names rightly, several of each.
    Named,
    /// Photos of any quality, several of each person; some labels are wrong.
    Wild,
    /// One good photo of a person.
    Single,
    /// A face that is not whole.
    Masked,
    /// Things, textures, letters: no face.
    Object,
}

/// One photo of the collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Photo {
    /// Where it lies.
    pub path: PathBuf,
    /// What is known of it.
    pub group: Group,
    /// The person's number within the collection; a photo of nobody has a number of its own.
    pub person: u32,
}

/// Finds the photos below `photos` and the pictures of things below `objects`, in an order that does not depend on the file
/// system. `every` takes only each n-th person (or photo of nobody), for a quick try.
///
/// # Errors
/// Where a folder cannot be read, or holds no photo of one of the groups that training cannot do without.
pub fn find(photos: &Path, objects: &Path, every: u32) -> Result<Vec<Photo>, TrainingError> {
    let mut found = Vec::new();
    let mut person = 0;
    for (group, folder) in [
        (Group::Named, photos.join("named")),
        (Group::Wild, photos.join("wild")),
        (Group::Single, photos.join("single")),
        (Group::Masked, photos.join("masked")),
        (Group::Object, objects.to_owned()),
    ] {
        let before = found.len();
        let mut last_parent = None;
        for (index, path) in pictures(&folder)?.into_iter().enumerate() {
            let is_person = matches!(group, Group::Named | Group::Wild);
            let parent = path.parent().map(Path::to_owned);
            if !is_person || parent != last_parent || index == 0 {
                person += 1;
            }
            last_parent = parent;
            if person % every.max(1) == 0 {
                found.push(Photo {
                    path,
                    group,
                    person,
                });
            }
        }
        if found.len() == before {
            return Err(TrainingError::NoPhotos { folder });
        }
    }
    Ok(found)
}

/// Every picture below `folder`, sorted by path.
fn pictures(folder: &Path) -> Result<Vec<PathBuf>, TrainingError> {
    let mut paths = Vec::new();
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.map_err(|source| TrainingError::Folder {
            folder: folder.to_owned(),
            source,
        })?;
        let is_picture = entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "jpg" || extension == "png");
        if entry.file_type().is_file() && is_picture {
            paths.push(entry.into_path());
        }
    }
    paths.sort();
    Ok(paths)
}
