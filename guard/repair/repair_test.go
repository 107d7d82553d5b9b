package repair_test

import (
	"testing"

	"github.com/deckhand-engine/deckhand/guard/repair"
)

func TestString(t *testing.T) {
	for want, r := range map[string]repair.Repair{
		"tmpfs /run":           {Kind: repair.Tmpfs, Path: "/run"},
		"chown /var/lib/redis": {Kind: repair.Chown, Path: "/var/lib/redis", Missing: true},
		"volume -R /data":      {Kind: repair.Volume, Path: "/data", Recursive: true},
		"mode /etc/app":        {Kind: repair.Mode, Path: "/etc/app"},
		"env HOME=/data":       {Kind: repair.Environ, Value: "HOME=/data"},
		"passwd line app":      {Kind: repair.Passwd, Value: "app", Path: "/data"},
		"sysctl a.b=1":         {Kind: repair.Port, Value: "a.b=1"},
		"strip-caps /bin/ping": {Kind: repair.StripCaps, Path: "/bin/ping"},
		"entrypoint app -f":    {Kind: repair.Entrypoint, Argv: []string{"app", "-f"}},
		"config /a.conf without user www;": {
			Kind: repair.Config, Path: "/a.conf", Old: "  user www;",
		},
		"config /a.conf with dir /data": {Kind: repair.Config, Path: "/a.conf", Old: "dir /", Value: "dir /data"},
		"capability CAP_NET_RAW":        {Kind: repair.Capability, Value: "CAP_NET_RAW"},
		"uid 0":                         {Kind: repair.Root},
		"writable root":                 {Kind: repair.ReadWrite},
	} {
		if got := r.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}
