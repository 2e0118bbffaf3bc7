// Package tidy checks how sources and documents are written: widths, lengths, words. The tests read
// every text file of the tree. exceptions.txt lists what does not follow the rules yet, with the
// number of places in each file. The list may only shrink.
//
//	go test ./tests/tidy            # fails on each new place, and on a number that is too high
//	go test ./tests/tidy -shrink    # lowers the numbers to what there is
package tidy
