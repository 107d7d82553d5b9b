package registry_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/registry"
)

func TestParsePlatform(t *testing.T) {
	for in, want := range map[string]string{
		"linux/amd64": "linux/amd64", "linux/x86_64": "linux/amd64", "arm64": "linux/arm64", "linux/arm64/v8": "linux/arm64",
		"aarch64": "linux/arm64", "linux/arm": "linux/arm/v7", "linux/armel": "linux/arm/v6", "LINUX/ARM/V6": "linux/arm/v6",
		"linux": "linux/" + here.Architecture, "windows/amd64": "windows/amd64",
	} {
		p, err := registry.ParsePlatform(in)
		if got := registry.FormatPlatform(p); err != nil || got != want {
			t.Errorf("ParsePlatform(%q) = %s, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "/", "linux/", "a/b/c/d", "linux//v7"} {
		if p, err := registry.ParsePlatform(in); err == nil {
			t.Errorf("ParsePlatform(%q) = %v", in, p)
		}
	}
}

func TestChoose(t *testing.T) {
	entry := func(name string) v1.Descriptor {
		p, err := registry.ParsePlatform(name)
		if err != nil {
			t.Fatal(err)
		}
		return v1.Descriptor{Platform: &p}
	}
	want, err := registry.ParsePlatform("linux/arm/v7")
	if err != nil {
		t.Fatal(err)
	}
	got := registry.Choose([]v1.Descriptor{entry("linux/arm/v5"), entry("linux/arm/v6"), entry("linux/arm64")}, want)
	if got == nil || got.Platform.Variant != "v6" {
		t.Errorf("chose %v, want the newest that runs", got)
	}
	want.Variant = "v5"
	if got := registry.Choose([]v1.Descriptor{entry("linux/arm/v6")}, want); got != nil {
		t.Errorf("chose %v for an older processor", got)
	}
	if got := registry.Choose([]v1.Descriptor{{}}, want); got == nil {
		t.Error("a single entry without a platform was not chosen")
	}
	if got := registry.Choose(nil, want); got != nil {
		t.Error("chose from nothing")
	}
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:5000": true, "127.0.0.1:5000": true, "127.8.9.1": true, "[::1]:5000": true,
		"reg.localhost:80": true, "10.0.0.1:5000": false, "localhost.example.com": false, "example.com": false,
		"192.168.0.1": false, "notlocalhost": false, "127.0.0.1.example.com": false, "[::2]:5000": false,
	} {
		if got := registry.IsLoopback(host); got != want {
			t.Errorf("IsLoopback(%q) = %v", host, got)
		}
	}
}

func TestCheckRedirect(t *testing.T) {
	request := func(s string) *http.Request {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return &http.Request{URL: u}
	}
	for to, ok := range map[string]bool{
		"https://cdn.example.net/blob": true, "https://example.com/other": true, "https://169.254.169.254/latest": false,
		"https://127.0.0.1/": false, "https://localhost:8080/": false, "https://10.0.0.1/": false, "https://[::1]/": false,
	} {
		err := registry.CheckRedirect(request(to), []*http.Request{request("https://example.com/v2/")})
		if (err == nil) != ok {
			t.Errorf("redirect to %s: %v", to, err)
		}
	}
	if err := registry.CheckRedirect(request("http://127.0.0.1:81/"), []*http.Request{request("http://127.0.0.1:80/")}); err != nil {
		t.Errorf("within this machine: %v", err)
	}
	if err := registry.CheckRedirect(request("https://a.example/"), make([]*http.Request, 10)); err == nil {
		t.Error("redirects without end")
	}
}

func FuzzParseDocument(f *testing.F) {
	for _, s := range []string{
		`{"schemaVersion":2,"mediaType":"` + v1.MediaTypeImageManifest + `","config":{"digest":"sha256:aa"},"layers":[{"size":-1}]}`,
		`{"schemaVersion":2,"manifests":[{"platform":{"os":"linux","architecture":"arm","variant":"v6"}}]}`,
		`{"schemaVersion":1,"fsLayers":[]}`, `[]`, `{`, `{"layers":null,"manifests":[{}]}`,
	} {
		f.Add([]byte(s), v1.MediaTypeImageManifest)
		f.Add([]byte(s), "")
	}
	f.Fuzz(func(t *testing.T, raw []byte, contentType string) {
		mediaType, err := registry.ParseDocument(raw, contentType)
		if err != nil {
			return
		}
		if mediaType == "" {
			t.Fatal("a document without a type")
		}
		var idx v1.Index
		if json.Unmarshal(raw, &idx) == nil {
			registry.Choose(idx.Manifests, v1.Platform{OS: "linux", Architecture: "arm", Variant: "v7"})
		}
	})
}
