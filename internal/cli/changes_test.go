package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestApplyChanges(t *testing.T) {
	var c dockerspec.DockerOCIImageConfig
	err := applyChanges(&c, []string{
		`CMD ["redis-server", "--port", "6379"]`, `entrypoint /bin/run it`, `ENV A=1 B="two words" C=three\ words`,
		`ENV A replaced value`, `EXPOSE 6379 53/udp 8000-8002/tcp`, `LABEL k=v "quoted key"='single $x'`, `ONBUILD RUN true`,
		`SHELL ["/bin/bash","-c"]`, `STOPSIGNAL SIGINT`, `USER 9000:9000`, `VOLUME /data /log`, `VOLUME ["/with space"]`,
		`WORKDIR /srv`, `WORKDIR app/../lib`,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := dockerspec.DockerOCIImageConfig{
		ImageConfig: v1.ImageConfig{
			User:         "9000:9000",
			ExposedPorts: map[string]struct{}{"6379/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {}, "8002/tcp": {}},
			Env:          []string{"A=replaced value", "B=two words", "C=three words"},
			Entrypoint:   []string{"/bin/sh", "-c", "/bin/run it"},
			Cmd:          []string{"redis-server", "--port", "6379"},
			Volumes:      map[string]struct{}{"/data": {}, "/log": {}, "/with space": {}},
			WorkingDir:   "/srv/lib",
			Labels:       map[string]string{"k": "v", "quoted key": "single $x"},
			StopSignal:   "SIGINT",
		},
		DockerOCIImageConfigExt: dockerspec.DockerOCIImageConfigExt{OnBuild: []string{"RUN true"}, Shell: []string{"/bin/bash", "-c"}},
	}
	if d := cmp.Diff(want, c); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestApplyChangesErrors(t *testing.T) {
	for in, want := range map[string]string{
		"": "an instruction and its arguments", "USER": "an instruction and its arguments", "RUN true": "unknown instruction RUN",
		"ENV A": "A has no value", "ENV =x": "not KEY=VALUE", "ENV A=1 B": "not KEY=VALUE", `ENV A="x`: "not closed",
		"EXPOSE http": "is no port", "EXPOSE 70000": "is no port", "EXPOSE 9-3": "is no port", "EXPOSE 80/icmp": "no known protocol",
		"ONBUILD ONBUILD RUN x": "cannot be chained", "ONBUILD FROM x": "not allowed", "SHELL /bin/sh": "not a list",
		`VOLUME [""]`: "empty string",
	} {
		var c dockerspec.DockerOCIImageConfig
		err := applyChanges(&c, []string{in})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
}

func FuzzApplyChange(f *testing.F) {
	for _, s := range []string{
		`CMD ["a"]`, "ENV A=1 B='x y'", `LABEL "a b"="c\"d"`, "EXPOSE 1-65535/udp", "VOLUME [\"/a\"]", "WORKDIR ..", `ENV A=\`, "USER \x00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var c dockerspec.DockerOCIImageConfig
		if applyChange(&c, line) != nil {
			return
		}
		if c.WorkingDir != "" && !strings.HasPrefix(c.WorkingDir, "/") {
			t.Fatalf("%q made the working directory %q", line, c.WorkingDir)
		}
		for _, e := range c.Env {
			if k, _, ok := strings.Cut(e, "="); !ok || k == "" {
				t.Fatalf("%q made the environment entry %q", line, e)
			}
		}
	})
}
