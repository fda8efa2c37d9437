// SPDX-License-Identifier: Apache-2.0

// busy SECONDS: four goroutines, each started by main.main, work for so long: main.worker calls main.middle,
// that main.inner, which sorts, formats and allocates: every stack of a goroutine ends in runtime.goexit, every
// other one in the start of a thread.
package main

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"
)

//go:noinline
func inner(n int) int {
	numbers := make([]int, 200)
	for i := range numbers {
		numbers[i] = i * 7919 % 1009 * n
	}
	sort.Slice(numbers, func(a, b int) bool { return numbers[a] < numbers[b] })
	return len(fmt.Sprintf("%d %v %s", n, numbers[:5], "text")) + numbers[0]
}

//go:noinline
func middle(n int) int {
	return inner(n) + inner(n+1)
}

//go:noinline
func worker(end time.Time, group *sync.WaitGroup) {
	sum := 0
	for time.Now().Before(end) {
		for i := 0; i < 20; i++ {
			sum += middle(i)
		}
	}
	if sum == 1 {
		fmt.Println(sum)
	}
	group.Done()
}

func main() {
	seconds, err := strconv.ParseFloat(os.Args[1], 64)
	if err != nil {
		os.Exit(2)
	}
	fmt.Println("ready", os.Getpid())
	end := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	var group sync.WaitGroup
	for i := 0; i < 4; i++ {
		group.Add(1)
		go worker(end, &group)
	}
	group.Wait()
}
