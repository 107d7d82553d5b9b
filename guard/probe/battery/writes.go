package battery

import (
	"errors"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

func writes() []trial {
	return []trial{
		{"write-passwd", writePasswd},
		{"write-etc", writeEtc},
		{"write-usr-bin", writeUsrBin},
		{"write-path", writePath},
		{"write-libraries", writeLibraries},
		{"write-workdir", writeWorkdir},
		{"write-command", writeCommand},
		{"ld-preload", ldPreload},
		{"write-cron", writeCron},
		{"write-root-home", writeRootHome},
		{"rename-root-file", renameRootFile},
		{"link-root-file", linkRootFile},
		{"package-manager", packageManager},
	}
}

func writePasswd(s *scene) probe.Result { return s.placing("/etc/passwd") }

func writeEtc(s *scene) probe.Result { return s.creating("/etc") }

func writeUsrBin(s *scene) probe.Result { return s.creating("/usr/bin") }

func writePath(s *scene) probe.Result {
	return s.creatings(programDirs(), "no directory of PATH exists")
}

func writeLibraries(s *scene) probe.Result {
	return s.creatings([]string{"/lib", "/usr/lib", "/usr/local/lib", "/lib64", "/usr/lib64"}, "there are no libraries")
}

func writeWorkdir(s *scene) probe.Result {
	r := s.creating(".")
	var buf [unix.PathMax]byte
	if n, err := unix.Getcwd(buf[:]); err == nil && n > 0 {
		r.Detail = string(buf[:n-1])
	}
	return r
}

// writeCommand opens the image's own program for writing, or makes a file beside it, where it could be replaced.
func writeCommand(s *scene) probe.Result {
	if s.command == "" {
		return absent("the image's command is not known")
	}
	name := program(s.command)
	if name == "" {
		return absent(s.command + " is not in PATH")
	}
	file := s.opening(name, unix.O_WRONLY)
	if file.Verdict == probe.Allowed {
		return file
	}
	if dir := s.creating(path.Dir(name)); dir.Verdict == probe.Allowed {
		return dir
	}
	return file
}

func ldPreload(s *scene) probe.Result { return s.placing("/etc/ld.so.preload") }

func writeCron(s *scene) probe.Result {
	dirs := []string{"/etc/cron.d", "/etc/cron.hourly", "/etc/cron.daily", "/var/spool/cron/crontabs", "/var/spool/cron", "/etc/crontabs", "/etc/periodic/15min"}
	r := s.creatings(dirs, "there is no cron")
	if r.Verdict == probe.Allowed {
		return r
	}
	if table := s.opening("/etc/crontab", unix.O_WRONLY); table.Verdict != probe.Absent {
		return table
	}
	return r
}

func writeRootHome(s *scene) probe.Result { return s.creating("/root") }

// renameRootFile gives a file of root's another name, and its own back.
func renameRootFile(s *scene) probe.Result {
	name := rootFile()
	if name == "/" {
		return absent("no file of root's is known here")
	}
	other := ownName(path.Dir(name))
	err := easiest(renames(name, other))
	if err == nil {
		err = easiest(renames(other, name))
	}
	r := s.settle(err, decision{
		by:      probe.ByOwner,
		passed:  []syscall.Errno{unix.EBUSY, unix.EXDEV}, // a mount, or one of overlayfs' directories
		witness: func() error { return easiest(renamesNowhere()) },
	})
	r.Detail = name
	return r
}

// linkRootFile makes a hard link to a file of root's in a directory of its own.
func linkRootFile(s *scene) probe.Result {
	name := rootFile()
	if name == "/" {
		return absent("no file of root's is known here")
	}
	d := decision{
		by:      probe.ByKernel, // fs.protected_hardlinks
		witness: func() error { return easiest(linksNowhere()) },
	}
	for _, dir := range writable() {
		link := ownName(dir)
		err := easiest(links(name, link))
		if errors.Is(err, unix.EXDEV) {
			continue
		}
		if err == nil {
			_ = unix.Unlink(link) // who may make it may remove it
		}
		r := s.settle(err, d)
		r.Detail = name + " in " + dir
		return r
	}
	r := s.creating(path.Dir(name)) // says why not
	r.Detail = "no directory beside " + name + " is writable"
	if r.Verdict == probe.Allowed {
		r = failed("no directory is in the same mount as " + name)
	}
	return r
}

// packageManager looks for a package manager and opens its database for writing.
func packageManager(s *scene) probe.Result {
	managers := []struct {
		programs  string
		databases []string
	}{
		{"dpkg apt-get", []string{"/var/lib/dpkg/status"}},
		{"apk", []string{"/lib/apk/db/installed", "/usr/lib/apk/db/installed"}},
		{"rpm dnf microdnf yum zypper", []string{"/usr/lib/sysimage/rpm/rpmdb.sqlite", "/var/lib/rpm/rpmdb.sqlite", "/var/lib/rpm/Packages"}},
		{"pacman", []string{"/var/lib/pacman/local/ALPM_DB_VERSION"}},
		{"opkg", []string{"/var/lib/opkg/status", "/usr/lib/opkg/status"}},
	}
	var results []probe.Result
	for _, m := range managers {
		for name := range strings.FieldsSeq(m.programs) {
			if program(name) == "" {
				continue
			}
			r := s.openings(m.databases, unix.O_RDWR, name+" has no database")
			r.Detail = name + ", " + r.Detail
			results = append(results, r)
			break
		}
	}
	return best(results, "no package manager is in PATH")
}
