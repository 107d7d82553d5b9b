package engine

import (
	"errors"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// What is at most our own is given; what is above, only to who may raise it.
func TestCheckRlimits(t *testing.T) {
	var have unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &have); err != nil {
		t.Fatal(err)
	}
	if err := checkRlimits([]specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 1, Hard: have.Max}}); err != nil {
		t.Error(err)
	}
	may, err := hasCapSysResource()
	if err != nil {
		t.Fatal(err)
	}
	err = checkRlimits([]specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 1, Hard: have.Max + 1}})
	e, refused := errors.AsType[*RlimitError](err)
	if refused == may {
		t.Fatalf("may raise: %v, error %v", may, err)
	}
	if refused && (e.Name != "nofile" || e.Max != have.Max) {
		t.Errorf("%+v", e)
	}
}

func TestRlimitErrorText(t *testing.T) {
	got := (&RlimitError{"core", unix.RLIM_INFINITY, 5}).Error()
	const want = "--ulimit core: a hard limit of unlimited is above the 5 that deckhand has itself, and raising it needs CAP_SYS_RESOURCE"
	if got != want {
		t.Error(got)
	}
}
