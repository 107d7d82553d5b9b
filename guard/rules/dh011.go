package rules

import (
	"fmt"
	"path"

	"github.com/deckhand-engine/deckhand/guard"
)

func setuidFiles() Rule {
	return Rule{
		ID: "DH011", Name: "setuid-files", Severity: guard.Warning, Check: checkSetuidFiles,
		Title: "Programs run with more rights than whoever starts them",
	}
}

func checkSetuidFiles(s *guard.Subject, _ guard.Settings) []guard.Finding {
	if noNewPrivileges(s) {
		return nil
	}
	var found []guard.Finding
	for _, step := range s.Steps {
		if len(step.Setuid) > 0 {
			found = append(found, guard.Finding{
				Message: "gives " + list(step.Setuid) + " more rights than whoever starts it",
				Detail:  "setuid, setgid and file capabilities hand root's rights to every user of the container",
				Where:   step.Where,
				Hint:    "give the one capability to the container instead, or run it with no_new_privs",
			})
		}
	}
	if s.Contents == nil {
		return found
	}
	return append(found, setuidContents(s)...)
}

// setuidContents lists what lies in the image, what no distribution brings first.
func setuidContents(s *guard.Subject) []guard.Finding {
	var own, usual []string
	for _, file := range s.Contents.Setuid {
		switch name := path.Base(file.Path); {
		case becomesRoot(name): // DH010's
		case usuallySetuid(name):
			usual = append(usual, file.Path)
		case file.Capabilities != "":
			own = append(own, file.Path+" ("+file.Capabilities+")")
		default:
			own = append(own, file.Path)
		}
	}
	if len(own)+len(usual) == 0 {
		return nil
	}
	f := guard.Finding{
		Severity: guard.Info, Where: s.Where,
		Message: fmt.Sprintf("holds %d setuid, setgid or privileged programs: %s", len(own)+len(usual), list(append(own, usual...))),
		Hint:    "strip them: RUN find / -xdev -perm /6000 -type f -exec chmod a-s {} +; or run with no_new_privs, as deckhand does",
	}
	if len(own) == 0 {
		f.Detail = "all of them are the distribution's own; a service needs none"
	}
	return []guard.Finding{f}
}

// usuallySetuid reports whether distributions install the program with such rights.
func usuallySetuid(name string) bool {
	switch name {
	case "su", "passwd", "chsh", "chfn", "chage", "expiry", "gpasswd", "newgrp", "sg", "mount", "umount",
		"fusermount", "fusermount3", "ping", "ping6", "unix_chkpwd", "pam_timestamp_check", "pam_extrausers_chkpwd",
		"newuidmap", "newgidmap", "ssh-agent", "ssh-keysign", "wall", "write", "write.ul", "bsd-write", "crontab",
		"dotlockfile", "locate", "plocate", "utempter", "dbus-daemon-launch-helper", "pkexec",
		"polkit-agent-helper-1", "bbsuid", "userhelper", "vlock", "at", "lockfile", "mutt_dotlock":
		return true
	}
	return false
}
