package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/internal/engine"
)

func TestNames(t *testing.T) {
	tests := map[string]struct {
		opts nameOptions
		want engine.Names
		err  string
	}{
		"none":                 {},
		"hosts":                {opts: nameOptions{hosts: []string{"a:1.2.3.4", "b=::1", "c:[fe80::1]", "d:host-gateway"}}, want: engine.Names{Hosts: []string{"a:1.2.3.4", "b:::1", "c:fe80::1", "d:host-gateway"}}},
		"all of dns":           {opts: nameOptions{servers: []string{"9.9.9.9", "::1"}, search: []string{"example.com", "."}, options: []string{"ndots:2"}}, want: engine.Names{Servers: []string{"9.9.9.9", "::1"}, Search: []string{"example.com", "."}, Options: []string{"ndots:2"}}},
		"no address":           {opts: nameOptions{hosts: []string{"a"}}, err: `bad format for add-host: "a"`},
		"no name":              {opts: nameOptions{hosts: []string{":1.2.3.4"}}, err: `bad format for add-host: ":1.2.3.4"`},
		"two lines":            {opts: nameOptions{hosts: []string{"a\n6.6.6.6 b:1.2.3.4"}}, err: `bad format for add-host: "a\n6.6.6.6 b:1.2.3.4"`},
		"a bad address":        {opts: nameOptions{hosts: []string{"a:b"}}, err: `invalid IP address in add-host: "b"`},
		"a bad server":         {opts: nameOptions{servers: []string{"9.9.9"}}, err: `invalid --dns "9.9.9": it is not an ip address`},
		"a line in a zone":     {opts: nameOptions{hosts: []string{"a:fe80::1%\n6.6.6.6"}}, err: `invalid IP address in add-host: "fe80::1%\n6.6.6.6"`},
		"a line in a server's": {opts: nameOptions{servers: []string{"fe80::1%\nsearch b"}}, err: `invalid --dns "fe80::1%\nsearch b": it is not an ip address`},
		"a bad domain":         {opts: nameOptions{search: []string{"a b"}}, err: "invalid --dns-search: a b is not a valid domain"},
		"a bad option":         {opts: nameOptions{options: []string{"a\nnameserver 6.6.6.6"}}, err: `invalid --dns-option "a\nnameserver 6.6.6.6": one word is needed, as ndots:2`},
		"an address":           {opts: nameOptions{ip: "10.0.0.9"}, err: "user specified IP address is supported on user defined networks only"},
		"an IPv6 one":          {opts: nameOptions{ip6: "::9"}, err: "user specified IP address is supported on user defined networks only"},
		"a MAC address":        {opts: nameOptions{mac: "92:d0:c6:0a:29:33"}, err: "--mac-address cannot be had: a container's interface has the address that the kernel gives it"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tt.opts.names()
			if text(err) != tt.err {
				t.Fatalf("error %q, want %q", text(err), tt.err)
			}
			if diff := cmp.Diff(tt.want, got); err == nil && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParseHost(f *testing.F) {
	for _, s := range []string{"a:1.2.3.4", "a=::1", "a:[::1]", "a:host-gateway", ":", "a\n:1.1.1.1", "a:fe80::1%eth0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		entry, err := parseHost(s)
		if err != nil {
			return
		}
		name, address, ok := strings.Cut(entry, ":")
		if !ok || name == "" || strings.ContainsFunc(name, blank) || strings.ContainsFunc(address, blank) {
			t.Errorf("%q became %q", s, entry)
		}
	})
}
