package registry

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// ParsePlatform reads --platform: "linux/arm64", "linux/arm/v7", or an architecture alone.
func ParsePlatform(s string) (v1.Platform, error) {
	parts := strings.Split(strings.ToLower(s), "/")
	if len(parts) == 1 {
		if parts[0] == "linux" {
			parts = append(parts, runtime.GOARCH)
		} else {
			parts = []string{"linux", parts[0]}
		}
	}
	if len(parts) > 3 || slices.Contains(parts, "") {
		return v1.Platform{}, fmt.Errorf("parse platform %q: it is OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64", s)
	}
	p := v1.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return normalise(p), nil
}

// hostPlatform is this machine's.
func hostPlatform() v1.Platform {
	return normalise(v1.Platform{OS: "linux", Architecture: runtime.GOARCH})
}

// normalise gives an architecture its name in Go and drops variants that are the architecture's normal one.
func normalise(p v1.Platform) v1.Platform {
	switch p.Architecture {
	case "x86_64", "x86-64":
		p.Architecture = "amd64"
	case "aarch64":
		p.Architecture = "arm64"
	case "i386", "i486", "i586", "i686", "x86":
		p.Architecture = "386"
	case "armhf":
		p.Architecture, p.Variant = "arm", "v7"
	case "armel":
		p.Architecture, p.Variant = "arm", "v6"
	}
	switch {
	case p.Architecture == "amd64" && p.Variant == "v1", p.Architecture == "arm64" && (p.Variant == "v8" || p.Variant == "8"):
		p.Variant = ""
	case p.Architecture == "arm" && p.Variant == "":
		p.Variant = "v7"
	}
	return p
}

// FormatPlatform is "linux/arm/v7".
func FormatPlatform(p v1.Platform) string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// Matches reports whether an image for have runs where want is asked for; a zero want is this machine.
func Matches(want, have v1.Platform) bool {
	if want.OS == "" {
		want = hostPlatform()
	}
	return match(want, have) > 0
}

// Choose picks the entry of an index for the platform; zero: this machine's. It is nil where there is none.
func Choose(entries []v1.Descriptor, want v1.Platform) *v1.Descriptor {
	if want.OS == "" {
		want = hostPlatform()
	}
	return choose(entries, want)
}

// match rates how well an image for have runs where want is asked for: 0 not at all, higher is better.
func match(want, have v1.Platform) int {
	want, have = normalise(want), normalise(have)
	const exact = 100
	switch {
	case want.OS != have.OS || want.Architecture != have.Architecture:
		return 0
	case want.Variant == have.Variant:
		return exact
	case want.Architecture == "arm":
		// An older variant runs on a newer processor, and the newest of them is the best.
		i := slices.Index([]string{"v5", "v6", "v7"}, have.Variant)
		if have.Variant < want.Variant {
			return i + 1
		}
		return 0
	case have.Variant == "":
		return 1
	}
	return 0
}

// choose picks the entry of an index for the platform; nil if there is none.
func choose(entries []v1.Descriptor, want v1.Platform) *v1.Descriptor {
	var best *v1.Descriptor
	rating := 0
	for i, e := range entries {
		if e.Platform == nil || e.Platform.Architecture == "unknown" { // attestations
			continue
		}
		if r := match(want, *e.Platform); r > rating {
			best, rating = &entries[i], r
		}
	}
	if best == nil && len(entries) == 1 && entries[0].Platform == nil {
		return &entries[0]
	}
	return best
}

// offered lists the platforms of an index, for error messages.
func offered(entries []v1.Descriptor) string {
	var names []string
	for _, e := range entries {
		if e.Platform == nil || e.Platform.Architecture == "unknown" {
			continue
		}
		if n := FormatPlatform(*e.Platform); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
