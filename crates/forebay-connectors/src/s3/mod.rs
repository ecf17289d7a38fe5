//! S3 and what speaks its protocol: a folder of a bucket as a place for files, for code that blocks.
//!
//! The client is `object_store`'s; what is added is what a sink must know of each answer. [`Bucket::create`] is the safe
//! commit: a put with `If-None-Match: *`, which exactly one of all writers of a name wins. What must stay true: where the
//! answer to it is lost, what stands there afterwards decides, and if nothing stands there yet the outcome counts as unknown,
//! since the request may still be on its way. And no name is trusted to be refused a second time before the server has
//! shown that it does ([`Bucket::prove_create`]): one that passes over the condition would let writers overwrite each other.
//!
//! Calls block the thread and run on the runtime that it belongs to, so they are for threads that may block. Data files wait
//! in the local data folder until they are whole (files without a name, which vanish with the process), so memory does not grow with them.

mod address;
mod options;
mod upload;

use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io::{self, Seek, Write};
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;

use bytes::Bytes;
use forebay_core::Result;
use futures::TryStreamExt;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use url::Url;

pub(crate) use self::address::Address;
pub use self::address::is_address;
pub use self::options::is_option;
pub(crate) use self::options::{PREFIXES, refuse_options};
pub(crate) use self::upload::Upload;

/// Bytes that are asked for, or sent, at once: at least S3's 5 MiB for a part.
const PIECE: u64 = 8 << 20;

/// A folder of a bucket.
#[derive(Clone)]
pub(crate) struct Bucket {
    store: Arc<AmazonS3>,
    address: Address,
    /// Where files wait that are not whole yet.
    spool: PathBuf,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({})", self.address)
    }
}

/// What tells one content of a name from another: the ETag.
pub(crate) type Tag = String;

/// An object below the folder.
pub(crate) struct Found {
    /// Relative to the folder.
    pub name: String,
    /// By the server's clock.
    pub modified_ms: i64,
}

impl Bucket {
    /// The folder of this address; `spool` is a folder on this machine. Asks nobody yet.
    ///
    /// # Errors
    /// As [`options::store`].
    pub fn new(address: Address, given: &options::Given, spool: &FsPath) -> Result<Self> {
        let store = Arc::new(options::store(&address, given)?);
        Ok(Self { store, address, spool: spool.to_path_buf() })
    }

    /// As it is shown: `s3://bucket/folder`.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The same as a URL, for libraries.
    pub fn url(&self) -> &Url {
        self.address.url()
    }

    /// The whole bucket, and the folder in it.
    pub fn store(&self) -> (Arc<dyn ObjectStore>, Path) {
        (self.store.clone(), self.address.folder().clone())
    }

    /// What stands under a name, with its tag. Blocks.
    pub fn read(&self, name: &str) -> io::Result<Option<(Bytes, Option<Tag>)>> {
        let (store, key) = (self.store.clone(), self.key(name)?);
        let get = async move {
            let found = store.get(&key).await?;
            let tag = found.meta.e_tag.clone();
            Ok((found.bytes().await?, tag))
        };
        if_there(wait(get)?)
    }

    /// The tag of a name. Blocks.
    pub fn tag(&self, name: &str) -> io::Result<Option<Tag>> {
        let (store, key) = (self.store.clone(), self.key(name)?);
        let head = if_there(wait(async move { store.head(&key).await })?)?;
        Ok(head.map(|found| tag_of(&found)))
    }

    /// Gives a name that must not exist yet its content; the tag if this call did, else `None`. Blocks.
    ///
    /// # Errors
    /// The name may have been given all the same, or be given later: the answer was lost, or never came.
    pub fn create(&self, name: &str, bytes: &[u8]) -> io::Result<Option<Option<Tag>>> {
        let (store, key) = (self.store.clone(), self.key(name)?);
        let payload = PutPayload::from(Bytes::copy_from_slice(bytes));
        let put = async move { store.put_opts(&key, payload, PutOptions::from(PutMode::Create)).await };
        match wait(put)? {
            Ok(put) => Ok(Some(put.e_tag)),
            // The client may have tried twice, the first time with success; or the answer did not come.
            Err(error) => match self.read(name) {
                Ok(Some((there, tag))) => Ok((there == bytes).then_some(tag)),
                Ok(None) | Err(_) => Err(io_error(&error)),
            },
        }
    }

    /// Makes sure that the server refuses a name that exists, by a name that stays for the next time. Blocks.
    ///
    /// # Errors
    /// `Unsupported` if it does not.
    pub fn prove_create(&self, name: &str) -> io::Result<()> {
        for attempt in 0..3 {
            let (store, key) = (self.store.clone(), self.key(name)?);
            // Another content each time: that of others would pass for ours.
            let payload = PutPayload::from(format!("{}\n", uuid::Uuid::new_v4()).into_bytes());
            let put = async move { store.put_opts(&key, payload, PutOptions::from(PutMode::Create)).await };
            match wait(put)? {
                Ok(_) if attempt == 0 => {}
                Ok(_) => return Err(unsupported("it takes an object twice that must not exist yet")),
                Err(object_store::Error::AlreadyExists { .. }) => return Ok(()),
                Err(object_store::Error::NotImplemented { .. }) => {
                    return Err(unsupported("it does not know the header `If-None-Match`"));
                }
                Err(error) => return Err(io_error(&error)),
            }
        }
        Ok(())
    }

    /// Removes a name; false if it is certain that there was none. Blocks.
    pub fn remove_if_there(&self, name: &str) -> io::Result<bool> {
        let (store, key) = (self.store.clone(), self.key(name)?);
        Ok(if_there(wait(async move { store.delete(&key).await })?)?.is_some())
    }

    /// The names right below a folder. Blocks.
    pub fn names(&self, folder: &str) -> io::Result<Vec<String>> {
        let (store, key) = (self.store.clone(), self.key(folder)?);
        let found = wait(async move { store.list_with_delimiter(Some(&key)).await })?;
        let found = found.map_err(|error| io_error(&error))?;
        Ok(found.objects.iter().filter_map(|object| object.location.filename().map(str::to_owned)).collect())
    }

    /// Everything below the folder. Blocks.
    pub fn all(&self) -> io::Result<Vec<Found>> {
        let (store, folder) = self.store();
        let list = async move {
            let named = |object: ObjectMeta| {
                let rest = object.location.prefix_match(&folder)?;
                let name = rest.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
                Some(Found { name, modified_ms: object.last_modified.timestamp_millis() })
            };
            let found = store.list(Some(&folder)).map_ok(named);
            found.try_filter_map(|found| async move { Ok(found) }).try_collect::<Vec<_>>().await
        };
        wait(list)?.map_err(|error| io_error(&error))
    }

    /// A file that will stand under this name once it is [finished](Upload::finish). Touches no network.
    pub fn upload(&self, name: &str) -> io::Result<Upload> {
        Ok(Upload::new(self.store.clone(), self.key(name)?, self.spooled()?))
    }

    /// A copy of what stands under a name, on this machine and without a name there. Blocks.
    pub fn download(&self, name: &str) -> io::Result<File> {
        let key = self.key(name)?;
        let (store, asked) = (self.store.clone(), key.clone());
        let found = wait(async move { store.head(&asked).await })?.map_err(|error| io_error(&error))?;
        let mut file = self.spooled()?;
        let mut at = 0;
        while at < found.size {
            let (store, key) = (self.store.clone(), key.clone());
            let range = at..(at + PIECE).min(found.size);
            let piece = wait(async move { store.get_range(&key, range).await })?;
            let piece = piece.map_err(|error| io_error(&error))?;
            if piece.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            file.write_all(&piece)?;
            at += piece.len() as u64;
        }
        file.rewind()?;
        Ok(file)
    }

    fn spooled(&self) -> io::Result<File> {
        forebay_storage::Door::scratch().create_dir_all(&self.spool)?;
        tempfile::tempfile_in(&self.spool)
    }

    fn key(&self, name: &str) -> io::Result<Path> {
        let folder = self.address.folder();
        // As it is: names in a Delta log are encoded already, or mean the characters themselves.
        Path::parse(format!("{folder}/{name}"))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }
}

fn tag_of(found: &ObjectMeta) -> Tag {
    found.e_tag.clone().unwrap_or_else(|| format!("{} {}", found.last_modified, found.size))
}

fn if_there<T>(answer: object_store::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        // A bucket that is not there is no name that is not there.
        Err(object_store::Error::NotFound { source, .. }) if !source.to_string().contains("NoSuchBucket") => {
            Ok(None)
        }
        Err(error) => Err(io_error(&error)),
    }
}

fn unsupported(words: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, words)
}

/// Runs a call on the runtime of this thread, which waits for it. For threads that may block: those of the runtime's own
/// workers are needed to get on with it.
///
/// # Errors
/// If there is no runtime, or it ends first.
fn wait<T: Send + 'static>(call: impl Future<Output = T> + Send + 'static) -> io::Result<T> {
    let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
    let (done, answer) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        // Nobody waits any more if the thread is gone.
        let _ = done.send(call.await);
    });
    answer.recv().map_err(|_| io::Error::other("the process is ending"))
}

/// An error of the client by what it means here.
fn io_error(error: &object_store::Error) -> io::Error {
    use object_store::Error as E;
    let kind = match error {
        E::NotFound { .. } => io::ErrorKind::NotFound,
        E::AlreadyExists { .. } | E::Precondition { .. } => io::ErrorKind::AlreadyExists,
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, words(error))
}

/// The server's own words where it has any, else the client's.
pub(crate) fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    let between = |tag: &str| {
        let rest = text.split_once(&format!("<{tag}>"))?.1;
        Some(rest.split_once('<')?.0.to_owned())
    };
    match (between("Code"), between("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_words_are_told_without_the_rest_of_its_answer() {
        let error = io::Error::other(
            "Error performing PUT http://h/b/k - 403 Forbidden: <Error><Code>InvalidAccessKeyId</Code><Message>no such key</Message>\
             <AWSAccessKeyId>AKIA</AWSAccessKeyId></Error>",
        );
        assert_eq!(words(&error), "InvalidAccessKeyId: no such key");
        assert_eq!(words(&io::Error::other("connection refused")), "connection refused");
    }
}
