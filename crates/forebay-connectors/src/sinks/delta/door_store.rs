//! delta-rs's way to the disk: an object store whose every change passes the storage door.
//!
//! Checkpoints and log cleanup are written by delta-rs through this store. The local store that comes with it does
//! not fsync unless asked; here an object is staged, fsynced, given its name and the folder fsynced before a put
//! returns. Reads are the ordinary local ones. What must stay true: no change to a table's folder goes around
//! [`Door`], so the crash tests see all of them.

use std::fmt;
use std::io;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use forebay_storage::{Door, DoorFile};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use parking_lot::Mutex;

/// The local file system from its root, durable in what it writes.
#[derive(Clone, Debug)]
pub struct DoorStore {
    local: Arc<LocalFileSystem>,
    door: Door,
}

impl DoorStore {
    /// A store whose `/` is the root of the file system.
    pub fn new(door: Door) -> Self {
        Self { local: Arc::new(LocalFileSystem::new()), door }
    }

    async fn put_bytes(&self, location: &Path, bytes: Vec<u8>, create: bool) -> Result<()> {
        let path = self.local.path_to_filesystem(location)?;
        let door = self.door.clone();
        let written = tokio::task::spawn_blocking(move || {
            let staged = stage(&door, &path, &bytes)?;
            publish(&door, &staged, &path, create)
        });
        written.await?.map_err(|e| store_error(location, e))
    }
}

impl fmt::Display for DoorStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DoorStore")
    }
}

#[async_trait]
impl ObjectStore for DoorStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let create = match opts.mode {
            PutMode::Overwrite => false,
            PutMode::Create => true,
            PutMode::Update(_) => {
                return Err(Error::NotImplemented {
                    operation: "put (update)".into(),
                    implementer: self.to_string(),
                });
            }
        };
        self.put_bytes(location, Bytes::from(payload).to_vec(), create).await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let path = self.local.path_to_filesystem(location)?;
        let door = self.door.clone();
        let open = tokio::task::spawn_blocking(move || {
            let staged = staged_name(&path);
            door.create_dir_all(parent_of(&path))?;
            let file = door.create_new(&staged)?;
            Ok::<_, io::Error>(Upload {
                door,
                path,
                file: Arc::new(Mutex::new(Parts { file, failed: false })),
                staged,
            })
        });
        Ok(Box::new(open.await?.map_err(|e| store_error(location, e))?))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.local.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |location: Result<Path>| {
            let store = store.clone();
            async move {
                let location = location?;
                let path = store.local.path_to_filesystem(&location)?;
                let removed = tokio::task::spawn_blocking(move || {
                    store.door.remove_file(&path)?;
                    store.door.sync_dir(parent_of(&path))
                });
                removed.await?.map_err(|e| store_error(&location, e))?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.local.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.local.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.local.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let source = self.local.path_to_filesystem(from)?;
        let read = tokio::task::spawn_blocking(move || std::fs::read(source));
        let bytes = read.await?.map_err(|e| store_error(from, e))?;
        self.put_bytes(to, bytes, options.mode == CopyMode::Create).await
    }
}

/// An object that arrives in parts; delta-rs sends them one after the other.
#[derive(Debug)]
struct Upload {
    door: Door,
    path: PathBuf,
    staged: PathBuf,
    file: Arc<Mutex<Parts>>,
}

#[derive(Debug)]
struct Parts {
    file: DoorFile,
    failed: bool,
}

#[async_trait]
impl MultipartUpload for Upload {
    /// Appends in the order of the calls: the bytes are written before this returns, only the answer comes later.
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let mut parts = self.file.lock();
        let written = data.iter().try_for_each(|piece| parts.file.append(piece));
        parts.failed = parts.failed || written.is_err();
        let path = self.path.clone();
        Box::pin(async move { written.map_err(|e| io_error(&path, e)) })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (door, parts, staged, path) =
            (self.door.clone(), self.file.clone(), self.staged.clone(), self.path.clone());
        let complete = tokio::task::spawn_blocking(move || {
            let parts = parts.lock();
            if parts.failed {
                return Err(io::Error::other("a part could not be written"));
            }
            parts.file.sync()?;
            publish(&door, &staged, &path, false)
        });
        complete.await?.map_err(|e| io_error(&self.path, e))?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn abort(&mut self) -> Result<()> {
        self.door.remove_file(&self.staged).map_err(|e| io_error(&self.staged, e))
    }
}

fn stage(door: &Door, path: &FsPath, bytes: &[u8]) -> io::Result<PathBuf> {
    door.create_dir_all(parent_of(path))?;
    let staged = staged_name(path);
    let mut file = door.create_new(&staged)?;
    let written = file.append(bytes).and_then(|()| file.sync());
    if let Err(error) = written {
        door.remove_file(&staged)?;
        return Err(error);
    }
    Ok(staged)
}

fn publish(door: &Door, staged: &FsPath, path: &FsPath, create: bool) -> io::Result<()> {
    if create {
        return door.publish_new(staged, path);
    }
    door.rename(staged, path)?;
    door.sync_dir(parent_of(path))
}

/// A name of its own for each attempt; readers of a Delta log pass over it.
fn staged_name(path: &FsPath) -> PathBuf {
    path.with_file_name(format!("_put_{}.tmp", uuid::Uuid::new_v4()))
}

fn parent_of(path: &FsPath) -> &FsPath {
    path.parent().unwrap_or_else(|| FsPath::new("/"))
}

fn store_error(location: &Path, error: io::Error) -> Error {
    let (path, kind) = (location.to_string(), error.kind());
    let source = Box::new(error);
    match kind {
        io::ErrorKind::NotFound => Error::NotFound { path, source },
        io::ErrorKind::AlreadyExists => Error::AlreadyExists { path, source },
        io::ErrorKind::PermissionDenied => Error::PermissionDenied { path, source },
        _ => Error::Generic { store: "DoorStore", source },
    }
}

fn io_error(path: &FsPath, error: io::Error) -> Error {
    Error::Generic { store: "DoorStore", source: format!("{}: {error}", path.display()).into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::scratch::Scratch;
    use object_store::ObjectStoreExt;

    fn at(dir: &FsPath, name: &str) -> Path {
        Path::from_absolute_path(dir.join(name)).unwrap()
    }

    #[tokio::test]
    async fn create_refuses_what_exists_and_leaves_nothing_behind() {
        let dir = Scratch::new();
        let store = DoorStore::new(Door::new());
        let location = at(dir.path(), "a/b c%2Fd");
        let create = || PutOptions::from(PutMode::Create);
        store.put_opts(&location, PutPayload::from_static(b"one"), create()).await.unwrap();
        let again = store.put_opts(&location, PutPayload::from_static(b"two"), create()).await;
        assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
        assert_eq!(store.get(&location).await.unwrap().bytes().await.unwrap(), "one");
        store.put(&location, PutPayload::from_static(b"three")).await.unwrap();
        assert_eq!(store.get(&location).await.unwrap().bytes().await.unwrap(), "three");
        assert_eq!(std::fs::read_dir(dir.path().join("a")).unwrap().count(), 1);
        store.delete(&location).await.unwrap();
        assert!(matches!(store.get(&location).await, Err(Error::NotFound { .. })));
    }

    #[tokio::test]
    async fn parts_arrive_in_order_and_show_only_when_complete() {
        let dir = Scratch::new();
        let store = DoorStore::new(Door::new());
        let location = at(dir.path(), "parts");
        let mut upload = store.put_multipart(&location).await.unwrap();
        let first = upload.put_part(PutPayload::from_static(b"first "));
        let second = upload.put_part(PutPayload::from_static(b"second"));
        second.await.unwrap();
        first.await.unwrap();
        assert!(store.head(&location).await.is_err());
        upload.complete().await.unwrap();
        assert_eq!(store.get(&location).await.unwrap().bytes().await.unwrap(), "first second");
        let mut dropped = store.put_multipart(&location).await.unwrap();
        dropped.put_part(PutPayload::from_static(b"x")).await.unwrap();
        dropped.abort().await.unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
