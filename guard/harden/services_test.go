package harden_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/deckhand-engine/deckhand/guard/harden"
)

// drawer draws services by lot.
type drawer struct {
	*rand.Rand
	files, readable []string
}

func (d *drawer) pick(from ...string) string { return from[d.IntN(len(from))] }

// place is a directory that services use.
func (d *drawer) place() string {
	return d.pick(strings.Fields("/run /run/x /var/run/x /var/lib/x /var/lib/x/sub /var/log /var/log/x /var/cache/x /var/spool/x /etc/x " +
		"/etc /srv/x /srv/x/in /tmp /var/tmp /opt/x /usr/share/x /data /home/x ~ /")...)
}

func (d *drawer) file() string { return path.Join(d.place(), d.pick("a", "b", ".c", "d/e")) }

// readableFile is a file that the image has.
func (d *drawer) readableFile() string { return d.pick(append(d.readable, "/etc/passwd")...) }

// image draws files.
func (d *drawer) image() {
	for range d.IntN(6) {
		if name := strings.Replace(d.place(), "/var/run", "/run", 1); !strings.HasPrefix(name, "~") && name != "/" {
			d.files = append(d.files, d.pick("0755", "0755", "0700", "0750", "0777")+" "+d.pick("0:0", "0:0", "33:33")+" "+name+"/")
		}
	}
	for range d.IntN(3) {
		if name := strings.Replace(d.file(), "/var/run", "/run", 1); !strings.HasPrefix(name, "~") {
			d.readable = append(d.readable, name)
			d.files = append(d.files, d.pick("0644", "0600", "0640")+" 0:0 "+name)
		}
	}
}

// step draws one.
func (d *drawer) step() step {
	switch d.IntN(20) {
	case 0, 1, 2:
		name := d.file()
		return all(survives(makes(path.Dir(path.Dir(name)))), survives(makes(path.Dir(name))), writes(name))
	case 3:
		return makes(d.place())
	case 4:
		return reads(d.readableFile())
	case 5:
		return survives(listens(d.pick(":80", ":443", ":8080", "unix:/run/x.sock", "unix:/run/x/x.sock")))
	case 6:
		return survives(writes(d.file()))
	case 7:
		return survives(calls(d.pick("unshare", "fsync", "keyctl")))
	case 8:
		return survives(socket("inet/raw"))
	case 9:
		return insists(hasName)
	case 10:
		return owns(d.readableFile(), 33)
	case 11:
		from, to := d.file(), d.file()
		return all(survives(makes(path.Dir(from))), survives(makes(path.Dir(to))), survives(writes(from)), moves(from, to))
	case 12:
		return when(isRoot, survives(owns(d.file(), 33)))
	case 13:
		return when(isRestarted, reads(d.readableFile()))
	case 14:
		return forks(becomes(33), writes(d.file()))
	case 15:
		return survives(forks(becomes(34)))
	case 16:
		return when(isRoot, becomesNamed("www-data"))
	case 17:
		return becomesNamed("www-data")
	case 18:
		return when(configured("/etc/x.conf", "user"), becomes(33))
	case 19:
		return when(configured("/etc/x.conf", "chroot"), chroots("/var/lib/x"))
	}
	return nil
}

func (d *drawer) steps(most int) []step {
	var steps []step
	for range d.IntN(most) {
		steps = append(steps, d.step())
	}
	return steps
}

// service draws one.
func (d *drawer) service() service {
	d.image()
	d.files = append(d.files, "0644 0:0 /etc/x.conf = port 80\\n"+d.pick("", "user www-data\\n", "chroot /srv\\nuser www-data"))
	program := program{start: d.steps(7), exercise: d.steps(3), stop: d.steps(2)}
	s := x(program, d.files...)
	text := d.pick("", "", "WORKDIR /srv\n", "VOLUME /data\n", "ENV HOME=/srv\n")
	s.dockerfile = text + "CMD [\"x\"]\n"
	switch d.IntN(4) {
	case 0:
		script := d.steps(3)
		if d.IntN(2) == 0 {
			script = append(script, when(isRoot, becomes(33)))
		} else {
			script = append(script, becomes(33))
		}
		s = scripted(starting(append(script, runs("x", "--serve"))...), program, strings.Join(d.files, "\n"))
		s.dockerfile = text + s.dockerfile
	case 1:
		s.noShell = true
	case 2:
		s.lacks = []string{d.pick("chmod", "chown", "sed")}
	}
	return s
}

// TestServices hardens services that were drawn by lot, as far as they work at all. Those that run as root in the end
// work as they did, so that something is found for each.
func TestServices(t *testing.T) {
	works := 0
	for seed := range uint64(200) {
		d := &drawer{Rand: rand.New(rand.NewPCG(seed, 3))}
		h := newHardening(d.service())
		p, err := harden.Run(t.Context(), h.options)
		if _, ok := errors.AsType[*harden.BaselineError](err); ok {
			continue
		}
		if works++; err != nil {
			t.Errorf("seed %d: %v%s", seed, err, h.titles())
			continue
		}
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { h.examine(t, p) }) {
			t.Errorf("seed %d: %v%s", seed, names(p.Repairs), h.titles())
		}
	}
	if works < 50 {
		t.Errorf("only %d services work: that says little", works)
	}
}
