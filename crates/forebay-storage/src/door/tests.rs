//! What the door promises, tried on a folder.

use super::*;

#[test]
fn write_new_refuses_a_name_that_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let door = Door::new();
    door.write_new(&path, b"one").unwrap();
    let refused = door.write_new(&path, b"two").unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), b"one");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the staged file is gone");
}

#[test]
fn who_rewrites_a_new_file_at_once_is_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let door = Door::new();
    let staged = door.stage_at(named(&path, ".new.staged"), b"one").unwrap();
    fs::hard_link(&staged, &path).unwrap();
    // It is seen from here on, while its writer is not done.
    door.write_atomic(&path, b"two").unwrap();
    door.remove_file(&staged).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two");
}

#[cfg(unix)]
#[test]
fn a_private_file_is_its_owners_alone_and_one_that_was_there_stays_whose_it_was() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let dir = tempfile::tempdir().unwrap();
    let (door, path) = (Door::new(), dir.path().join("a"));
    door.write_private(&path, b"one").unwrap();
    let about = || fs::metadata(&path).unwrap();
    assert_eq!(about().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    // Only root may give a file away; everybody else's stays theirs in any case.
    if about().uid() == 0 {
        chown(&path, Some(65_534), Some(65_533)).unwrap();
    }
    let before = (about().uid(), about().gid());
    door.write_private(&path, b"two").unwrap();
    assert_eq!((about().mode() & 0o777, about().uid(), about().gid()), (0o640, before.0, before.1));
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the staged file is gone");
}

#[test]
fn only_a_missing_file_may_be_missing() {
    let dir = tempfile::tempdir().unwrap();
    let (door, path) = (Door::new(), dir.path().join("a"));
    assert!(!door.remove_if_there(&path).unwrap());
    fs::write(&path, b"one").unwrap();
    assert!(door.remove_if_there(&path).unwrap() && !path.exists());
    assert!(door.remove_if_there(dir.path()).is_err(), "a folder is no file");
}

#[test]
fn append_vectored_writes_every_slice() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = Door::new().create_new(&dir.path().join("a")).unwrap();
    let (a, b) = (vec![1u8; 70_000], vec![2u8; 3]);
    file.append_vectored(&mut [IoSlice::new(&a), IoSlice::new(&b)]).unwrap();
    assert_eq!(file.len(), 70_003);
    assert_eq!(fs::metadata(file.path()).unwrap().len(), 70_003);
}
