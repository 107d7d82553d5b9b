package rules

import "github.com/deckhand-engine/deckhand/guard"

func unconfined() Rule {
	return Rule{
		ID: "DH017", Name: "unconfined", Severity: guard.Error, Check: checkUnconfined,
		Title: "A filter between the container and the kernel is switched off",
	}
}

func checkUnconfined(s *guard.Subject, _ guard.Settings) []guard.Finding {
	var found []guard.Finding
	for _, g := range s.GrantsOf(guard.GrantUnconfined) {
		found = append(found, guard.Finding{
			Message: "runs without " + filterUse(g.Value),
			Where:   g.Where,
			Hint:    "leave the default in place, or allow the few calls that are needed in a profile of its own",
		})
	}
	return found
}

// filterUse is what a filter keeps a container from.
func filterUse(name string) string {
	switch name {
	case "seccomp":
		return "the seccomp filter: system calls that escapes have used are open to it"
	case "apparmor":
		return "AppArmor: mounts and writes to /proc and /sys are not refused"
	case "label":
		return "SELinux's label: files of the host and of other containers are not refused"
	case "systempaths":
		return "masked paths: the kernel's settings in /proc and /sys lie open"
	}
	return short(name)
}
