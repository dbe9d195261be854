//! Our own tables beside the served events: purgatory, the promotion journal, tombstones, unsigned uploads.
//!
//! A batch of writes is atomic and, on the LMDB backend, durable when [`Tables::write`] returns.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions};
use parking_lot::Mutex;

/// The most bytes this environment may grow to: 16 GiB of address space; the file grows as needed.
const MAP_SIZE: usize = 16 << 30;

/// One of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Events in purgatory, by event id.
    Waiting,
    /// Open commit records of promotion, by sequence number (big-endian).
    Journal,
    /// What was deleted (NIP-09).
    Tombstones,
    /// Ids of what expired in purgatory, for synced copies, with the time until which it counts.
    Expired,
    /// Uploads that no event names yet.
    Unsigned,
    /// Pull requests whose data is to be carried to further families.
    Spread,
    /// Repositories that are retired, with what is kept of them.
    Retired,
    /// Families that are to shrink, by identifier.
    Shrink,
    /// The format's version, and what else there is one of.
    Meta,
}

impl Table {
    const ALL: [Self; 9] = [
        Self::Waiting,
        Self::Journal,
        Self::Tombstones,
        Self::Expired,
        Self::Unsigned,
        Self::Spread,
        Self::Retired,
        Self::Shrink,
        Self::Meta,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Journal => "journal",
            Self::Tombstones => "tombstones",
            Self::Expired => "expired",
            Self::Unsigned => "unsigned",
            Self::Spread => "spread",
            Self::Retired => "retired",
            Self::Shrink => "shrink",
            Self::Meta => "meta",
        }
    }
}

/// One write of a batch.
#[derive(Debug, Clone)]
pub struct Write {
    /// Where.
    pub table: Table,
    /// The key, at most 511 bytes.
    pub key: Vec<u8>,
    /// The new value; `None` removes the key.
    pub value: Option<Vec<u8>>,
}

impl Write {
    /// Sets a key.
    #[must_use]
    pub fn put(table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self { table, key: key.into(), value: Some(value.into()) }
    }

    /// Removes a key.
    #[must_use]
    pub fn remove(table: Table, key: impl Into<Vec<u8>>) -> Self {
        Self { table, key: key.into(), value: None }
    }
}

/// The tables could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TablesError {
    /// LMDB failed.
    #[error("the server's own database failed: {0}")]
    Lmdb(#[from] heed::Error),
    /// The folder could not be made.
    #[error("the folder of the server's own database cannot be made: {0}")]
    Io(#[from] std::io::Error),
    /// Written by a newer version of this server.
    #[error("the data was written by a newer version of this server (format {0}); use that version")]
    TooNew(u32),
}

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

type Map = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

#[derive(Clone)]
enum Backend {
    Lmdb { env: Env, databases: Arc<BTreeMap<Table, Database<Bytes, Bytes>>> },
    Memory(Arc<Mutex<Map>>),
}

/// The tables. Cheap to clone; reads block for microseconds, writes for a disk flush.
#[derive(Clone)]
pub struct Tables(Backend);

/// The format's version, in [`Table::Meta`] under `version`.
const VERSION: u32 = 1;

impl Tables {
    /// Opens or creates the environment in `folder`.
    ///
    /// # Errors
    /// When the folder or the environment cannot be opened, or is of a newer format.
    pub fn lmdb(folder: &Path) -> Result<Self, TablesError> {
        std::fs::create_dir_all(folder)?;
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_SIZE).max_dbs(16).max_readers(512);
        // SAFETY: the folder belongs to this server, whose lock file says so to a second one; nobody else maps it.
        #[allow(unsafe_code)]
        let env = unsafe { options.flags(EnvFlags::NO_TLS).open(folder)? };
        let mut txn = env.write_txn()?;
        let mut databases = BTreeMap::new();
        for table in Table::ALL {
            databases.insert(table, env.create_database::<Bytes, Bytes>(&mut txn, Some(table.name()))?);
        }
        txn.commit()?;
        let tables = Self(Backend::Lmdb { env, databases: Arc::new(databases) });
        match tables.get(Table::Meta, b"version")?.as_deref().map(<[u8; 4]>::try_from) {
            None => tables.write(&[Write::put(Table::Meta, *b"version", VERSION.to_be_bytes())])?,
            Some(Ok(version)) if u32::from_be_bytes(version) <= VERSION => {}
            Some(version) => return Err(TablesError::TooNew(version.map_or(0, u32::from_be_bytes))),
        }
        Ok(tables)
    }

    /// Empty tables that end with the process.
    #[must_use]
    pub fn memory() -> Self {
        Self(Backend::Memory(Arc::default()))
    }

    /// One value.
    ///
    /// # Errors
    /// When LMDB fails.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, TablesError> {
        match &self.0 {
            Backend::Lmdb { env, databases } => {
                let txn = env.read_txn()?;
                Ok(databases[&table].get(&txn, key)?.map(<[u8]>::to_vec))
            }
            Backend::Memory(map) => Ok(map.lock().get(&(table, key.to_vec())).cloned()),
        }
    }

    /// All keys and values of a table, by key.
    ///
    /// # Errors
    /// When LMDB fails.
    pub fn all(&self, table: Table) -> Result<Vec<Row>, TablesError> {
        match &self.0 {
            Backend::Lmdb { env, databases } => {
                let txn = env.read_txn()?;
                let rows = databases[&table].iter(&txn)?;
                Ok(rows.map(|row| row.map(|(k, v)| (k.to_vec(), v.to_vec()))).collect::<Result<_, _>>()?)
            }
            Backend::Memory(map) => {
                let map = map.lock();
                let rows = map.iter().filter(|((of, _), _)| *of == table);
                Ok(rows.map(|((_, key), value)| (key.clone(), value.clone())).collect())
            }
        }
    }

    /// Writes a batch: all of it or nothing; durable on return (LMDB).
    ///
    /// # Errors
    /// When LMDB fails; nothing is written then.
    pub fn write(&self, batch: &[Write]) -> Result<(), TablesError> {
        match &self.0 {
            Backend::Lmdb { env, databases } => {
                let mut txn = env.write_txn()?;
                for write in batch {
                    match &write.value {
                        Some(value) => databases[&write.table].put(&mut txn, &write.key, value)?,
                        None => {
                            databases[&write.table].delete(&mut txn, &write.key)?;
                        }
                    }
                }
                Ok(txn.commit()?)
            }
            Backend::Memory(map) => {
                let mut map = map.lock();
                for write in batch {
                    let key = (write.table, write.key.clone());
                    match &write.value {
                        Some(value) => map.insert(key, value.clone()),
                        None => map.remove(&key),
                    };
                }
                Ok(())
            }
        }
    }
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Backend::Lmdb { .. } => "Tables(lmdb)",
            Backend::Memory(_) => "Tables(memory)",
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::lmdb(true)]
    #[case::memory(false)]
    fn a_batch_is_written_whole_and_read_back(#[case] lmdb: bool) {
        let folder = tempfile::tempdir().unwrap();
        let tables = if lmdb { Tables::lmdb(folder.path()).unwrap() } else { Tables::memory() };
        let put = |key: &str, value: &str| Write::put(Table::Waiting, key, value);
        tables.write(&[put("b", "2"), put("a", "1"), Write::put(Table::Expired, "a", "x")]).unwrap();
        tables.write(&[Write::remove(Table::Waiting, "b"), Write::remove(Table::Waiting, "never")]).unwrap();
        assert_eq!(tables.all(Table::Waiting).unwrap(), [(b"a".to_vec(), b"1".to_vec())]);
        assert_eq!(tables.get(Table::Expired, b"a").unwrap().as_deref(), Some(&b"x"[..]));
    }

    #[test]
    fn data_of_a_newer_format_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let tables = Tables::lmdb(folder.path()).unwrap();
        tables.write(&[Write::put(Table::Meta, *b"version", 9u32.to_be_bytes())]).unwrap();
        drop(tables);
        assert!(matches!(Tables::lmdb(folder.path()), Err(TablesError::TooNew(9))));
    }
}
