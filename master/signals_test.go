package master

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestReadmeHasEverySignal(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Signals {
		if row := fmt.Sprintf("| %s | %s |\n", s.Name, s.Does); !strings.Contains(string(readme), row) {
			t.Errorf("README lacks the row\n%s", row)
		}
	}
}
