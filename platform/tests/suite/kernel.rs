//! The sample tree through a real mount, and what only a real mount has.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirEntryExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hubvault_platform::{
    MountError, MountOptions, Mounted, NodeKind, Opens, UnmountError, UnmountMode, mount, table,
};
use rustix::io::Errno;
use tempfile::TempDir;

use crate::behaviour::{self, Refusal, Shown, View};
use crate::memory::{BIG, Fault, MANY, MemoryTree, TIME, big_content};

/// Whether this machine can mount at all. Says so, loudly, if not.
pub(crate) fn can_mount() -> bool {
    let can = Path::new("/dev/fuse").exists();
    if !can {
        eprintln!("\n**** SKIPPED: there is no /dev/fuse, nothing was mounted and NOTHING WAS TESTED ****\n");
    }
    can
}

/// A mounted sample tree. The mount goes before its directory.
pub(crate) struct Scene {
    pub(crate) tree: Arc<MemoryTree>,
    pub(crate) mounted: Mounted,
    pub(crate) folder: TempDir,
}

impl Scene {
    pub(crate) fn new(fault: Fault) -> Self {
        Self::with(fault, |_| {})
    }

    pub(crate) fn with(fault: Fault, change: impl FnOnce(&mut MountOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tree = Arc::new(MemoryTree::with_fault(fault));
        let mut options = MountOptions::new("/some where/vault,x@main");
        change(&mut options);
        let mounted = mount(Arc::clone(&tree) as _, folder.path(), &options).unwrap();
        Self { tree, mounted, folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A mounted directory as a view.
pub(crate) struct Mount(pub(crate) PathBuf);

impl Mount {
    fn at(&self, path: &[u8]) -> PathBuf {
        self.0.join(OsStr::from_bytes(path))
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT) => Self::NotFound,
            Some(Errno::NOTDIR) => Self::NotADirectory,
            Some(Errno::ISDIR) => Self::IsADirectory,
            Some(Errno::INVAL) => Self::InvalidInput,
            Some(Errno::NODATA) => Self::NoAttribute,
            other => Self::Other(other.map_or(-1, Errno::raw_os_error)),
        }
    }
}

fn kind(kind: fs::FileType) -> NodeKind {
    assert!(!kind.is_fifo() && !kind.is_socket() && !kind.is_char_device());
    match (kind.is_dir(), kind.is_symlink()) {
        (true, _) => NodeKind::Directory,
        (_, true) => NodeKind::Symlink,
        _ => NodeKind::File,
    }
}

impl View for Mount {
    fn metadata(&self, path: &[u8]) -> Result<Shown, Refusal> {
        let found = fs::symlink_metadata(self.at(path))?;
        Ok(Shown { node: found.ino(), kind: kind(found.file_type()), size: found.len() })
    }

    fn list(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, u64, NodeKind)>, Refusal> {
        let entries = fs::read_dir(self.at(path))?.map(|entry| {
            let entry = entry?;
            Ok((entry.file_name().into_vec(), entry.ino(), kind(entry.file_type()?)))
        });
        Ok(entries.collect::<io::Result<_>>()?)
    }

    fn read(&self, path: &[u8]) -> Result<Vec<u8>, Refusal> {
        Ok(fs::read(self.at(path))?)
    }

    fn read_at(&self, path: &[u8], offset: u64, length: usize) -> Result<Vec<u8>, Refusal> {
        let mut buffer = vec![0; length];
        let read = File::open(self.at(path))?.read_at(&mut buffer, offset)?;
        buffer.truncate(read);
        Ok(buffer)
    }

    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, Refusal> {
        Ok(fs::read_link(self.at(path))?.into_os_string().into_vec())
    }

    fn xattr(&self, path: &[u8], name: &[u8]) -> Result<Vec<u8>, Refusal> {
        let name = OsStr::from_bytes(name);
        let size = rustix::fs::lgetxattr_query(self.at(path), name).map_err(io::Error::from)?;
        let mut value = vec![0_u8; size];
        rustix::fs::lgetxattr(self.at(path), name, &mut value).map_err(io::Error::from)?;
        Ok(value)
    }

    fn list_xattrs(&self, path: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
        let mut names = vec![0_u8; 1000];
        let size = rustix::fs::llistxattr(self.at(path), &mut names).map_err(io::Error::from)?;
        let list = names[..size].strip_suffix(b"\0").unwrap_or_default();
        Ok(list.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect())
    }
}

#[test]
fn the_suite_through_the_kernel() {
    if can_mount() {
        for (threads, opens) in
            [(1, Opens::Answered), (3, Opens::Answered), (1, Opens::Spared), (3, Opens::Spared)]
        {
            let scene = Scene::with(Fault::None, |options| {
                (options.threads, options.opens) = (threads, opens);
            });
            behaviour::check(&Mount(scene.folder.path().to_path_buf()));
            behaviour::check(&Mount(scene.folder.path().to_path_buf())); // now from the kernel's caches
            let tree = Arc::clone(&scene.tree);
            drop(scene);
            assert_eq!(tree.open_files(), 0, "a file stayed open");
        }
    }
}

#[test]
fn modes_owner_times_and_sizes() {
    if !can_mount() {
        return;
    }
    let scene = Scene::new(Fault::None);
    let me = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    for (name, mode) in
        [("", 0o040_555), ("hello.txt", 0o100_444), ("run.sh", 0o100_555), ("link", 0o120_777)]
    {
        let found = fs::symlink_metadata(scene.path(name)).unwrap();
        assert_eq!(found.mode(), mode, "{name}");
        assert_eq!((found.uid(), found.gid()), me);
        let time = (TIME.as_secs().cast_signed(), i64::from(TIME.subsec_nanos()));
        assert_eq!((found.mtime(), found.mtime_nsec()), time);
        assert_eq!((found.ctime(), found.ctime_nsec()), time);
        assert_eq!(found.blksize(), 4096);
    }
    assert_eq!(fs::metadata(scene.path("big.bin")).unwrap().blocks(), (BIG as u64).div_ceil(512));
    let volume = rustix::fs::statvfs(scene.path("")).unwrap();
    assert_eq!((volume.f_bavail, volume.f_bfree, volume.f_namemax), (0, 0, 255));
    assert_eq!((volume.f_frsize, volume.f_blocks), (4096, 2442));
    assert!(volume.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    assert!(volume.f_flag.contains(rustix::fs::StatVfsMountFlags::NOSUID));
}

#[test]
fn programs_on_the_mount_run() {
    if can_mount() {
        let scene = Scene::new(Fault::None);
        let status = std::process::Command::new(scene.path("run.sh")).status().unwrap();
        assert_eq!(status.code(), Some(7));
    }
}

#[test]
fn nothing_can_be_changed() {
    if !can_mount() {
        return;
    }
    let scene = Scene::new(Fault::None);
    let file = scene.path("hello.txt");
    let new = scene.path("new");
    let options =
        |change: fn(&mut OpenOptions) -> &mut OpenOptions| change(&mut OpenOptions::new()).open(&file);
    let refused: Vec<(&str, io::Result<()>)> = vec![
        ("write", fs::write(&file, "x")),
        ("create", File::create(&new).map(drop)),
        ("create_new", File::create_new(&new).map(drop)),
        ("open for writing", options(|open| open.write(true)).map(drop)),
        ("open for both", options(|open| open.read(true).write(true)).map(drop)),
        ("open for appending", options(|open| open.append(true)).map(drop)),
        ("truncate", options(|open| open.write(true).truncate(true)).map(drop)),
        ("mkdir", fs::create_dir(&new)),
        ("unlink", fs::remove_file(&file)),
        ("rmdir", fs::remove_dir(scene.path("hollow"))),
        ("remove_dir_all", fs::remove_dir_all(scene.path("hollow"))),
        ("rename", fs::rename(&file, &new)),
        ("link", fs::hard_link(&file, &new)),
        ("symlink", symlink("x", &new)),
        ("chmod", fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o777))),
        ("chown", std::os::unix::fs::chown(&file, Some(1), Some(1))),
        ("copy onto", fs::copy(scene.path("same.txt"), &file).map(drop)),
        ("setxattr", set_xattr(&file)),
        ("removexattr", rustix::fs::removexattr(&file, "user.hubvault.id").map_err(Into::into)),
        ("utimes", touch(&file)),
        ("mkfifo", make_fifo(&new)),
        ("access for writing", rustix::fs::access(&file, rustix::fs::Access::WRITE_OK).map_err(Into::into)),
    ];
    for (what, result) in refused {
        let errno = result.expect_err(what).raw_os_error();
        assert_eq!(errno, Some(Errno::ROFS.raw_os_error()), "{what}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"hello, world\n");
}

fn set_xattr(file: &Path) -> io::Result<()> {
    Ok(rustix::fs::setxattr(file, "user.x", b"y", rustix::fs::XattrFlags::empty())?)
}

fn touch(file: &Path) -> io::Result<()> {
    let now = rustix::fs::Timespec { tv_sec: 1, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
    Ok(rustix::fs::utimensat(rustix::fs::CWD, file, &times, rustix::fs::AtFlags::empty())?)
}

fn make_fifo(path: &Path) -> io::Result<()> {
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    Ok(rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0)?)
}

#[test]
fn seeking_ioctls_locks_and_special_opens() {
    if !can_mount() {
        return;
    }
    let scene = Scene::new(Fault::None);
    let file = File::open(scene.path("hello.txt")).unwrap();
    assert_eq!(rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(3)), Ok(3));
    assert_eq!(rustix::fs::seek(&file, rustix::fs::SeekFrom::Hole(3)), Ok(13));
    assert_eq!(rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(13)), Err(Errno::NXIO));
    assert_eq!(rustix::fs::ioctl_getflags(&file), Err(Errno::NOTTY));
    file.lock_shared().unwrap();
    file.unlock().unwrap();
    file.sync_all().unwrap();
    let no_atime = i32::try_from(rustix::fs::OFlags::NOATIME.bits()).unwrap();
    let quiet = OpenOptions::new().read(true).custom_flags(no_atime).open(scene.path("hello.txt"));
    assert_eq!(io::read_to_string(quiet.unwrap()).unwrap(), "hello, world\n");
    let target = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(fs::copy(scene.path("big.bin"), target.path()).unwrap(), BIG as u64);
    assert!(fs::read(target.path()).unwrap() == big_content());
}

#[test]
fn an_attribute_too_large_for_the_buffer_says_so() {
    if can_mount() {
        let scene = Scene::new(Fault::None);
        let path = scene.path("hello.txt");
        assert_eq!(rustix::fs::getxattr(&path, "user.hubvault.id", &mut [0_u8; 2]), Err(Errno::RANGE));
        assert_eq!(rustix::fs::listxattr(&path, &mut [0_u8; 2]), Err(Errno::RANGE));
        let acl = rustix::fs::getxattr(&path, "system.posix_acl_access", &mut [0_u8; 64]);
        assert!(matches!(acl, Err(Errno::NODATA | Errno::OPNOTSUPP)), "{acl:?}");
    }
}

#[test]
fn a_missing_name_is_asked_for_once() {
    if !can_mount() {
        return;
    }
    let scene = Scene::new(Fault::None);
    let missing = scene.path("no such file");
    assert!(!missing.exists());
    let before = scene.tree.lookup_calls.load(Ordering::Relaxed);
    for _ in 0..100 {
        assert!(!missing.exists());
    }
    assert_eq!(scene.tree.lookup_calls.load(Ordering::Relaxed), before, "not cached");
}

/// The kernel looks at the permissions of each folder on a path: that must not be a question each time.
#[test]
fn what_moves_is_looked_up_for_each_path_and_its_permissions_are_not() {
    if !can_mount() {
        return;
    }
    let scene = Scene::new(Fault::Moves);
    let path = scene.path("outer/inner/deep.txt");
    fs::metadata(&path).unwrap();
    let calls = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (looked_up, asked) = (calls(&scene.tree.lookup_calls), calls(&scene.tree.attribute_calls));
    for _ in 0..100 {
        fs::metadata(&path).unwrap();
    }
    assert_eq!(calls(&scene.tree.lookup_calls) - looked_up, 100, "`outer` could be another one by now");
    let asked = calls(&scene.tree.attribute_calls) - asked;
    // Those of `outer` came with its name, and the top's are kept for a second.
    assert!(asked < 20, "{asked}");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let before = calls(&scene.tree.attribute_calls);
    fs::metadata(scene.path("")).unwrap();
    assert_eq!(calls(&scene.tree.attribute_calls) - before, 1, "the time of the top is kept for too long");
}

#[test]
fn content_is_read_once_and_listings_bring_attributes() {
    if !can_mount() {
        return;
    }
    let scene = Scene::new(Fault::None);
    fs::read(scene.path("big.bin")).unwrap();
    let before = scene.tree.read_calls.load(Ordering::Relaxed);
    fs::read(scene.path("big.bin")).unwrap();
    assert_eq!(scene.tree.read_calls.load(Ordering::Relaxed), before, "the cache was thrown away");
    fs::metadata(scene.path("many")).unwrap();
    let before = scene.tree.lookup_calls.load(Ordering::Relaxed);
    let sizes =
        fs::read_dir(scene.path("many")).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    assert_eq!(sizes.sum::<u64>(), (10 + 90 * 2 + 900 * 3 + 9000 * 4) as u64);
    assert_eq!(scene.tree.lookup_calls.load(Ordering::Relaxed), before, "each of {MANY} was looked up");
}

/// Whether this process may let the kernel read backing files by itself.
fn may_pass_through() -> bool {
    let effective = fs::read_to_string("/proc/self/status").unwrap();
    let effective = effective.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim();
    u64::from_str_radix(effective, 16).unwrap() >> 21 & 1 == 1
}

#[test]
fn mount_reads_backed_files_by_itself_where_it_may() {
    if !can_mount() {
        return;
    }
    let scene = Scene::new(Fault::BackedAndReadFails);
    let big = scene.path("big.bin");
    let failed =
        |read: io::Result<Vec<u8>>| read.unwrap_err().raw_os_error() == Some(Errno::IO.raw_os_error());
    if !may_pass_through() {
        // Falls back to asking, and asking fails here: an error, never other bytes.
        assert!(failed(fs::read(&big)));
        return;
    }
    // Open twice at once, closed and opened again, by many: one way of reading throughout.
    let open = [File::open(&big).unwrap(), File::open(&big).unwrap()];
    assert!(fs::read(&big).unwrap() == big_content());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..20).for_each(|_| assert_eq!(fs::read(&big).unwrap().len(), BIG)));
        }
    });
    let mut page = [0; 4096];
    for file in &open {
        file.read_exact_at(&mut page, 1 << 20).unwrap();
        assert_eq!(page, big_content()[1 << 20..][..4096]);
    }
    drop(open);
    assert!(failed(fs::read(scene.path("hello.txt"))), "a file without a backing is asked for");
    assert!(fs::read(&big).unwrap() == big_content());
    drop(scene);
    // And not when it was not wanted.
    let scene = Scene::with(Fault::BackedAndReadFails, |options| options.passthrough = false);
    assert!(failed(fs::read(scene.path("big.bin"))));
}

#[test]
fn opens_are_spared_where_nothing_can_be_passed_through() {
    if !can_mount() {
        return;
    }
    let reported = |scene: &Scene, name: &str| {
        let report = table::report(scene.folder.path()).unwrap();
        report.into_iter().find(|(found, _)| found == name).unwrap().1
    };
    for (fault, opens, answered) in [
        (Fault::None, Opens::WhereNeeded, false),
        (Fault::None, Opens::Answered, true),
        (Fault::BackedAndReadFails, Opens::WhereNeeded, may_pass_through()),
        (Fault::BackedAndReadFails, Opens::Spared, false),
    ] {
        let scene = Scene::with(fault, |options| options.opens = opens);
        let file = File::open(scene.path("hello.txt")).unwrap();
        assert_eq!(scene.tree.open_files(), usize::from(answered), "{fault:?} {opens:?}");
        assert_eq!(reported(&scene, "opens"), u8::from(answered).to_string());
        let passed = may_pass_through() && opens == Opens::WhereNeeded && fault == Fault::BackedAndReadFails;
        assert_eq!(fs::read(scene.path("big.bin")).is_ok(), passed || fault == Fault::None);
        assert_eq!(reported(&scene, "files_passed_through"), u8::from(passed).to_string());
        drop(file);
    }
}

#[test]
fn many_readers_at_once() {
    if !can_mount() {
        return;
    }
    let scene = Scene::with(Fault::None, |options| options.threads = 2);
    let big = big_content();
    std::thread::scope(|scope| {
        for reader in 0..8_usize {
            let (scene, big) = (&scene, &big);
            scope.spawn(move || {
                let file = File::open(scene.path("big.bin")).unwrap();
                for step in 0..200 {
                    let offset = (reader * 7919 + step * 104_729) % BIG;
                    let length = 5000.min(BIG - offset);
                    let mut buffer = vec![0; length];
                    file.read_exact_at(&mut buffer, offset as u64).unwrap();
                    assert!(buffer == big[offset..offset + length], "at {offset}");
                }
            });
        }
    });
}

#[test]
fn damage_and_panics_cost_one_answer_not_the_mount() {
    if !can_mount() {
        return;
    }
    for fault in [Fault::ReadFails, Fault::ReadPanics] {
        let scene = Scene::with(fault, |options| options.threads = 1);
        for _ in 0..2 {
            let mut file = File::open(scene.path("hello.txt")).unwrap();
            let error = file.read(&mut [0; 10]).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(Errno::IO.raw_os_error()), "{fault:?}");
        }
        assert_eq!(fs::read_dir(scene.path("many")).unwrap().count(), MANY, "{fault:?}");
    }
}

#[test]
fn the_mount_table_shows_the_mount_until_it_ends() {
    if !can_mount() {
        return;
    }
    let scene = Scene::new(Fault::None);
    let here = scene.folder.path().canonicalize().unwrap();
    let listed = || table::mounts().unwrap().into_iter().find(|entry| entry.mountpoint == here);
    let entry = listed().expect("not in the table");
    assert_eq!(
        (entry.source.to_str(), entry.fstype.as_str()),
        (Some("/some where/vault,x@main"), "fuse.hubvault")
    );
    assert_eq!(scene.mounted.mountpoint(), here);
    scene.mounted.unmount().unwrap();
    assert_eq!(listed(), None);
    scene.mounted.unmount().unwrap(); // once more does no harm
    scene.mounted.wait().unwrap();
    assert_eq!(fs::read_dir(&here).unwrap().count(), 0);
}

#[test]
fn a_second_mount_in_the_same_place_is_refused() {
    if !can_mount() {
        return;
    }
    let scene = Scene::new(Fault::None);
    let again = mount(Arc::new(MemoryTree::sample()), scene.folder.path(), &MountOptions::new("b"));
    let error = again.unwrap_err();
    assert!(matches!(error, MountError::AlreadyMounted { .. }), "{error}");
    assert!(error.to_string().starts_with("/some where/vault,x@main is already mounted at"), "{error}");
}

#[test]
fn a_full_directory_can_be_mounted_over_on_request() {
    if !can_mount() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "").unwrap();
    let mut options = MountOptions::new("s");
    let tree = || Arc::new(MemoryTree::sample());
    assert!(matches!(mount(tree(), folder.path(), &options), Err(MountError::MountpointNotEmpty(_))));
    options.allow_non_empty = true;
    let mounted = mount(tree(), folder.path(), &options).unwrap();
    assert!(!folder.path().join("mine").exists());
    drop(mounted);
    assert!(folder.path().join("mine").exists());
}

#[test]
fn unmounting_from_outside_ends_the_wait() {
    if !can_mount() {
        return;
    }
    let scene = Scene::new(Fault::None);
    let (path, mounted) = (scene.folder.path().to_path_buf(), scene.mounted);
    let waiting = std::thread::spawn(move || mounted.wait());
    assert!(!waiting.is_finished());
    table::unmount(&path, UnmountMode::WhenIdle).unwrap();
    waiting.join().unwrap().unwrap();
    assert!(matches!(table::unmount(&path, UnmountMode::WhenIdle), Err(UnmountError::NotMounted(_))));
}

#[test]
fn a_busy_mount_stays_and_names_its_user_unless_detached() {
    if !can_mount() {
        return;
    }
    let scene = Scene::new(Fault::None);
    let file = File::open(scene.path("big.bin")).unwrap();
    let error = scene.mounted.unmount().unwrap_err();
    let UnmountError::Busy { holders, .. } = &error else { panic!("{error}") };
    assert!(holders.iter().any(|holder| holder.pid == std::process::id()), "{error}");
    assert!(scene.path("hello.txt").exists(), "must still be mounted");
    scene.mounted.unmounter().unmount_now().unwrap();
    assert!(!scene.path("hello.txt").exists());
    let mut content = Vec::new();
    (&file).read_to_end(&mut content).unwrap();
    assert!(content == big_content(), "an open file must stay readable");
    drop(file);
    let tree = Arc::clone(&scene.tree);
    scene.mounted.wait().unwrap();
    assert_eq!(tree.open_files(), 0);
}

#[test]
fn an_unmounter_leaves_a_later_mount_alone() {
    if !can_mount() {
        return;
    }
    let Scene { mounted, folder, .. } = Scene::new(Fault::None);
    let unmounter = mounted.unmounter();
    mounted.unmount().unwrap();
    // The later mount usually even gets the same device number.
    let later = mount(Arc::new(MemoryTree::sample()), folder.path(), &MountOptions::new("later")).unwrap();
    unmounter.unmount(UnmountMode::WhenIdle).unwrap();
    assert!(folder.path().join("hello.txt").exists(), "a later mount was ended");
    drop(later);
}

#[test]
fn files_open_when_the_connection_is_cut_are_closed_in_the_tree() {
    if !can_mount() || !rustix::process::geteuid().is_root() {
        return;
    }
    let scene = Scene::with(Fault::None, |options| options.opens = Opens::Answered);
    let file = File::open(scene.path("hello.txt")).unwrap();
    assert_eq!(scene.tree.open_files(), 1);
    let cut = rustix::mount::UnmountFlags::FORCE | rustix::mount::UnmountFlags::DETACH;
    rustix::mount::unmount(scene.folder.path(), cut).unwrap();
    let tree = Arc::clone(&scene.tree);
    scene.mounted.wait().unwrap();
    assert_eq!(tree.open_files(), 0, "the kernel will never report this file closed");
    drop(file);
}
