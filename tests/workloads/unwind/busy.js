// SPDX-License-Identifier: Apache-2.0
// busy.js SECONDS: compiled code, built-ins that call back, regular expressions, JSON and garbage, in turns.
'use strict';

function inner(n) {
	const numbers = [];
	for (let i = 0; i < 300; i++)
		numbers.push((i * 7919 * n) % 1009);
	numbers.sort((a, b) => a - b);
	return numbers.map((x) => x.toString(16)).reduce((a, b) => a + b.length, 0);
}

function middle(n) {
	const copy = JSON.parse(JSON.stringify({ n, list: [1, 2, 3, { text: 'abc'.repeat(n % 7) }] }));
	const words = 'the quick brown fox jumps over the lazy dog'.replace(/[aeiou]+/g, (m) => m.toUpperCase()).split(' ');
	return inner(n) + copy.list.length + words.length + new Map(words.map((w, i) => [w, i])).size;
}

function outer(end) {
	let sum = 0;
	for (let n = 0; Date.now() < end; n++)
		sum += middle(n);
	return sum;
}

console.log(`ready ${process.pid}`);
outer(Date.now() + 1000 * Number(process.argv[2]));
