// SPDX-License-Identifier: Apache-2.0
// Draws the flame graph from the folded text in the page. Data becomes text nodes only, never markup.
"use strict";
(() => {
	const rowHeight = 19, shades = 6;
	const kinds = {k: "kernel", l: "library", j: "JIT", i: "inlined", m: "mark", u: "user", p: "process"};
	const byId = id => document.getElementById(id);
	const chart = byId("chart"), hovered = byId("hovered"), matched = byId("matched"), input = byId("search");
	const facts = new Map(), minWidth = +chart.dataset.minWidth;
	const root = {name: "all", letter: "a", depth: 0, weight: 0, before: 0, children: new Map(), parent: null};
	const difference = chart.dataset.difference === "yes";
	let nodes = [], deepest = 0, zoomed = root, inverted = chart.dataset.inverted === "yes", expression = null;
	let largestChange = 0, under = null;

	// --- from text to a tree
	function letterOf(text, depth) {
		const suffix = /_\[([klji])\]$/.exec(text);
		if (suffix)
			return [text.slice(0, -4), suffix[1]];
		if (text === "--" || (/^\[.+\]$/.test(text) && text !== "[unknown]"))
			return [text, "m"];
		return [text, "u"];
	}

	function addStack(stack, before, weight) {
		let node = root;
		root.weight += weight;
		root.before += before;
		for (const text of stack.split(";")) {
			const [name, letter] = letterOf(text);
			const key = letter === "l" || letter === "m" ? name : text;
			let child = node.children.get(key);
			if (!child) {
				child = {name, letter, depth: node.depth + 1, weight: 0, before: 0, children: new Map(), parent: node};
				node.children.set(key, child);
			}
			child.weight += weight;
			child.before += before;
			node = child;
		}
	}

	function read(text) {
		for (const line of text.split("\n")) {
			const fact = /^# ([^ ]+): (.*)$/.exec(line);
			const parts = (difference ? /^(.*) (\d+) (\d+)$/ : /^(.*) ()(\d+)$/).exec(line);
			if (fact)
				facts.set(fact[1], fact[2]);
			else if (parts)
				addStack(parts[1], +parts[2], +parts[3]);
		}
	}

	// Depth first, left to right, each with the weight that stands left of it.
	function place() {
		const waiting = [[root, 0]];
		while (waiting.length) {
			const [node, start] = waiting.pop();
			node.start = start;
			nodes.push(node);
			deepest = Math.max(deepest, node.weight ? node.depth : 0);
			const row = [], children = Array.from(node.children.values());
			let at = start + node.weight - children.reduce((sum, child) => sum + child.weight, 0);
			for (const child of children.sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0)) {
				row.push([child, at]);
				at += child.weight;
			}
			waiting.push(...row.reverse());
		}
		nodes = nodes.filter(node => node.weight > 0 || node === root);
	}

	// --- words and colours
	const grouped = number => String(number).replace(/\B(?=(\d{3})+$)/g, ",");

	function scaled(value, names, steps) {
		let i = 0;
		for (; i < steps.length && value >= steps[i]; i++)
			value /= steps[i];
		return (value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toPrecision(3)) + names[i];
	}

	function weightText(weight) {
		const unit = facts.get("unit") || "samples";
		if (unit === "us")
			return scaled(weight, ["us", "ms", "s"], [1000, 1000]);
		if (unit === "bytes")
			return scaled(weight, ["B", "KiB", "MiB", "GiB", "TiB"], [1024, 1024, 1024, 1024]);
		return grouped(weight) + " " + unit;
	}

	function changeOf(node) {
		const before = root.before ? node.before / root.before : 0, after = root.weight ? node.weight / root.weight : 0;
		return facts.get("negate") === "yes" ? before - after : after - before;
	}

	function shade(name) {
		let hash = 7;
		for (let i = 0; i < name.length; i++)
			hash = (Math.imul(hash, 31) + name.charCodeAt(i)) >>> 0;
		return hash % shades;
	}

	function classOf(node) {
		if (difference) {
			const change = changeOf(node), level = largestChange ? Math.ceil(9 * Math.sqrt(Math.abs(change) / largestChange)) : 0;
			return level ? (change > 0 ? "r" : "b") + Math.min(level, 9) : "n0";
		}
		return node.depth === 0 ? "a0" : (node.depth === 1 ? "p" : node.letter) + shade(node.name);
	}

	const share = (weight, whole) => (whole ? 100 * weight / whole : 0).toFixed(2) + "%";

	function describe(node) {
		let text = node.name + "  " + weightText(node.weight) + ", " + share(node.weight, root.weight);
		if (zoomed !== root)
			text += " (" + share(node.weight, zoomed.weight) + " of " + zoomed.name + ")";
		if (difference && node.depth)
			text += ", " + (changeOf(node) >= 0 ? "+" : "") + (100 * changeOf(node)).toFixed(2) + " points";
		if (!difference && node.depth)
			text += ", " + kinds[node.depth === 1 ? "p" : node.letter];
		return text;
	}

	// --- drawing: a canvas, because a profile may have a hundred thousand boxes
	const context = chart.getContext("2d"), colours = new Map();
	const font = "11.5px ui-monospace, \"DejaVu Sans Mono\", Menlo, Consolas, monospace";
	const above = node => node.depth < zoomed.depth;
	let rows = [];

	function colour(className) {
		let found = colours.get(className);
		if (!found) {
			const probe = document.body.appendChild(Object.assign(document.createElement("i"), {className}));
			found = getComputedStyle(probe).backgroundColor;
			probe.remove();
			colours.set(className, found);
		}
		return found;
	}

	function clip(name, columns) {
		const letters = Array.from(name);
		return letters.length > columns ? letters.slice(0, columns - 1).join("") + "\u2026" : name;
	}

	function paint(node, left, pixels, columnWidth) {
		const top = (inverted ? node.depth : deepest - node.depth) * rowHeight, width = Math.max(pixels - (pixels > 3 ? 1 : 0), 0.5);
		const found = expression !== null && node !== root && expression.test(node.name);
		context.globalAlpha = expression && !found ? 0.5 : above(node) ? 0.55 : 1;
		context.fillStyle = found ? "#d63bd6" : colour(classOf(node));
		context.fillRect(left, top, width, rowHeight - 1);
		if (pixels > 3 * columnWidth + 8) {
			context.fillStyle = found ? "#fff" : "#1b1f24";
			context.fillText(clip(node.name, Math.floor((pixels - 8) / columnWidth)), left + 4, top + rowHeight / 2);
		}
		if (node === under) {
			context.globalAlpha = 1;
			context.strokeStyle = getComputedStyle(document.body).color;
			context.strokeRect(left + 0.5, top + 0.5, Math.max(width - 1, 0.5), rowHeight - 2);
		}
	}

	function draw() {
		const width = chart.clientWidth, height = (deepest + 1) * rowHeight, ratio = window.devicePixelRatio || 1;
		const scale = zoomed.weight ? width / zoomed.weight : 0, end = zoomed.start + zoomed.weight;
		chart.style.height = height + "px";
		chart.width = Math.round(width * ratio);
		chart.height = Math.round(height * ratio);
		context.setTransform(ratio, 0, 0, ratio, 0, 0);
		context.font = font;
		context.textBaseline = "middle";
		const columnWidth = context.measureText("m").width;
		rows = Array.from({length: deepest + 1}, () => []);
		for (const node of nodes) {
			if (node !== zoomed && (node.start + node.weight <= zoomed.start || node.start >= end))
				continue;
			const pixels = above(node) ? width : node.weight * scale, left = above(node) ? 0 : (node.start - zoomed.start) * scale;
			if (pixels < minWidth)
				continue;
			paint(node, left, pixels, columnWidth);
			rows[node.depth].push({node, left, right: left + pixels});
		}
		byId("reset").disabled = zoomed === root;
		byId("turn").textContent = inverted ? "Flame" : "Icicle";
	}

	function showRoot() {
		window.scrollTo(0, inverted ? 0 : document.body.scrollHeight);
	}

	function nodeAt(event) {
		const place = chart.getBoundingClientRect(), x = event.clientX - place.left;
		const row = Math.floor((event.clientY - place.top) / rowHeight), boxes = rows[inverted ? row : deepest - row] || [];
		let low = 0, high = boxes.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (boxes[middle].right <= x)
				low = middle + 1;
			else
				high = middle;
		}
		return low < boxes.length && boxes[low].left <= x ? boxes[low].node : null;
	}

	function hover(node) {
		if (node === under)
			return;
		under = node;
		hovered.textContent = node ? describe(node) : "";
		chart.title = node ? node.name : "";
		chart.style.cursor = node ? "pointer" : "default";
		requestAnimationFrame(draw);
	}

	// The share of everything below a match counts once.
	function search() {
		let covered = 0, until = 0;
		expression = null;
		input.classList.remove("bad");
		try {
			if (input.value)
				expression = new RegExp(input.value, /[A-Z]/.test(input.value) ? "" : "i");
		} catch (error) {
			input.classList.add("bad");
		}
		for (const node of nodes) {
			if (expression && node !== root && node.start >= until && expression.test(node.name)) {
				covered += node.weight;
				until = node.start + node.weight;
			}
		}
		matched.textContent = expression ? "matched " + weightText(covered) + ", " + share(covered, root.weight) : "";
		draw();
	}

	function zoom(node) {
		zoomed = node;
		draw();
	}

	function legend() {
		const entry = (className, text) => {
			const span = document.createElement("span");
			span.textContent = text;
			span.style.setProperty("--swatch", colour(className));
			if (!text)
				span.className = "bare";
			byId("legend").appendChild(span);
		};
		if (difference) {
			for (const className of ["b9", "b6", "b3", "n0", "r3", "r6"])
				entry(className, "");
			entry("r9", "share fell (blue) or grew (red), by up to " + (100 * largestChange).toFixed(2) +
				" points; widths: the profile " + (facts.get("negate") === "yes" ? "before" : "after"));
			return;
		}
		const seen = new Set(nodes.filter(node => node.depth > 1).map(node => node.letter));
		entry("p0", kinds.p);
		for (const letter of "ulkjim") {
			if (seen.has(letter))
				entry(letter + "1", kinds[letter]);
		}
	}

	read(byId("sonde-folded").textContent);
	place();
	for (const node of nodes)
		largestChange = Math.max(largestChange, difference ? Math.abs(changeOf(node)) : 0);
	legend();
	draw();
	showRoot();

	chart.addEventListener("click", event => {
		const node = nodeAt(event);
		if (node)
			zoom(node);
	});
	chart.addEventListener("mousemove", event => hover(nodeAt(event)));
	chart.addEventListener("mouseleave", () => hover(null));
	window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
	byId("reset").addEventListener("click", () => zoom(root));
	byId("turn").addEventListener("click", () => {
		inverted = !inverted;
		draw();
		showRoot();
	});
	input.addEventListener("input", search);
	window.addEventListener("resize", draw);
	watchKeys(input, search, () => zoom(root));
})();
