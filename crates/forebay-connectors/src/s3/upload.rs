//! A file on its way to a bucket: written here, sent when it is whole.
//!
//! What must stay true: nothing of it is to be seen there before all of it is.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};

use super::{PIECE, io_error, wait};

/// Up to this size a file is sent by one request, else in parts.
const WHOLE: u64 = 2 * PIECE;

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Upload {
    store: Arc<AmazonS3>,
    key: Path,
    file: File,
    len: u64,
}

impl Upload {
    pub(super) fn new(store: Arc<AmazonS3>, key: Path, file: File) -> Self {
        Self { store, key, file, len: 0 }
    }

    /// Bytes that were written.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Sends all of it; it is durable when this returns. Blocks. May be called again after an error.
    pub fn finish(&self) -> io::Result<()> {
        (&self.file).seek(SeekFrom::Start(0))?;
        let (store, key) = (self.store.clone(), self.key.clone());
        if self.len <= WHOLE {
            let bytes = self.next(self.len)?;
            let put = wait(async move { store.put(&key, PutPayload::from(bytes)).await })?;
            return put.map(drop).map_err(|error| io_error(&error));
        }
        let upload =
            wait(async move { store.put_multipart(&key).await })?.map_err(|error| io_error(&error))?;
        self.send(upload)
    }

    fn send(&self, mut upload: Box<dyn MultipartUpload>) -> io::Result<()> {
        let mut left = self.len;
        while left > 0 {
            let sent = self.next(left.min(PIECE)).and_then(|piece| {
                left -= piece.len() as u64;
                wait(upload.put_part(PutPayload::from(piece)))?.map_err(|error| io_error(&error))
            });
            if let Err(error) = sent {
                // What was sent costs until somebody clears it away; that it cannot be is no reason of its own.
                let _ = wait(async move { upload.abort().await });
                return Err(error);
            }
        }
        wait(async move { upload.complete().await })?.map(drop).map_err(|error| io_error(&error))
    }

    fn next(&self, count: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&self.file).take(count).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != count {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
