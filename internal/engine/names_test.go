package engine

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHostsFile(t *testing.T) {
	tests := map[string]struct {
		names   Names
		gateway string
		want    string
		err     error
	}{
		"none":                {want: "127.0.0.1 a\n"},
		"some":                {names: Names{Hosts: []string{"b:1.2.3.4", "c:::1"}}, want: "127.0.0.1 a\n1.2.3.4\tb\n::1\tc\n"},
		"the host":            {names: Names{Hosts: []string{"h:host-gateway"}}, gateway: "10.0.0.1", want: "127.0.0.1 a\n10.0.0.1\th\n"},
		"the host, not known": {names: Names{Hosts: []string{"h:host-gateway"}}, err: errNoGateway},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tt.names.hostsFile([]byte("127.0.0.1 a\n"), tt.gateway)
			if !errors.Is(err, tt.err) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); err == nil && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestResolvConf(t *testing.T) {
	const base = "# by hand\nnameserver 1.1.1.1\ndomain a\nsearch b c\noptions edns0\n\n"
	tests := map[string]struct {
		names Names
		want  string
	}{
		"none":      {want: base},
		"servers":   {Names{Servers: []string{"9.9.9.9", "::1"}}, "# by hand\ndomain a\nsearch b c\noptions edns0\n\nnameserver 9.9.9.9\nnameserver ::1\n"},
		"search":    {Names{Search: []string{"x", "y"}}, "# by hand\nnameserver 1.1.1.1\noptions edns0\n\nsearch x y\n"},
		"no search": {Names{Search: []string{"."}}, "# by hand\nnameserver 1.1.1.1\noptions edns0\n\n"},
		"options":   {Names{Options: []string{"ndots:2", "rotate"}}, "# by hand\nnameserver 1.1.1.1\ndomain a\nsearch b c\n\noptions ndots:2 rotate\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, string(tt.names.resolvConf([]byte(base)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}
