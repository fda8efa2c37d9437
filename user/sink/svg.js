// SPDX-License-Identifier: Apache-2.0
// Zoom, search and hover for a flame graph in SVG. Data reaches the page as text only: no markup is ever built from it.
"use strict";
(() => {
	const svg = document.documentElement, frames = document.getElementById("frames");
	if (!frames)
		return;
	const pad = 10, columnWidth = 6.62, rowHeight = 16;
	const xhtml = "http://www.w3.org/1999/xhtml", namespace = "http://www.w3.org/2000/svg";
	const chartWidth = svg.viewBox.baseVal.width - 2 * pad, height = svg.viewBox.baseVal.height;
	const details = document.getElementById("details"), matched = document.getElementById("matched");
	const boxes = Array.from(frames.children, g => {
		const [start, weight] = g.dataset.w.split(",").map(Number), rect = g.lastElementChild.tagName === "text" ?
			g.lastElementChild.previousElementSibling : g.lastElementChild;
		return {g, rect, start, end: start + weight, weight, y: +rect.getAttribute("y"), label: rect.nextElementSibling};
	});
	const byElement = new Map(boxes.map(box => [box.g, box]));
	const root = boxes[0], inverted = () => root.y < boxes[boxes.length - 1].y;
	const depth = box => Math.round(Math.abs(box.y - root.y) / rowHeight);
	const textOf = box => box.g.firstElementChild.textContent;
	const nameOf = box => box.name ??= textOf(box).replace(/ \([^(]*\)$/, "");
	let zoomed = root, waiting;

	function label(box, x, width) {
		const columns = Math.floor((width - 6) / columnWidth);
		if (columns < 3) {
			if (box.label)
				box.label.textContent = "";
			return;
		}
		if (!box.label)
			box.label = box.g.appendChild(document.createElementNS(namespace, "text"));
		const name = Array.from(nameOf(box));
		box.label.textContent = name.length > columns ? name.slice(0, columns - 1).join("") + "\u2026" : name.join("");
		box.label.setAttribute("x", (x + 3).toFixed(1));
		box.label.setAttribute("y", box.y + 11.5);
	}

	// Touches only what changes: a picture may have tens of thousands of boxes.
	function mark(box, name, value) {
		if ((box[name] || false) !== value) {
			box[name] = value;
			box.g.classList.toggle(name, value);
		}
	}

	function draw() {
		const scale = zoomed.weight ? chartWidth / zoomed.weight : 0, level = depth(zoomed);
		for (const box of boxes) {
			const outside = box.end <= zoomed.start || box.start >= zoomed.end, above = depth(box) < level;
			mark(box, "hidden", outside);
			mark(box, "above", !outside && above);
			if (outside)
				continue;
			const x = pad + Math.max(0, box.start - zoomed.start) * scale;
			const width = above || box === zoomed ? chartWidth : box.weight * scale;
			box.rect.setAttribute("x", x.toFixed(1));
			box.rect.setAttribute("width", width.toFixed(1));
			label(box, x, width);
		}
		resetButton.disabled = zoomed === root;
	}

	function zoom(box) {
		zoomed = box;
		draw();
	}

	// The share of everything below a match counts once.
	function search() {
		const pattern = input.value;
		let expression = null, covered = 0, until = 0;
		input.classList.remove("bad");
		try {
			if (pattern)
				expression = new RegExp(pattern, /[A-Z]/.test(pattern) ? "" : "i");
		} catch (error) {
			input.classList.add("bad");
		}
		for (const box of boxes) {
			const found = expression !== null && box !== root && expression.test(nameOf(box));
			mark(box, "found", found);
			if (found && box.start >= until) {
				covered += box.weight;
				until = box.end;
			}
		}
		frames.classList.toggle("searching", expression !== null);
		matched.textContent = expression ? "matched " + (100 * covered / (root.weight || 1)).toFixed(2) + "%" : "";
	}

	function turn() {
		let low = Infinity, high = 0;
		for (const box of boxes) {
			low = Math.min(low, box.y);
			high = Math.max(high, box.y);
		}
		for (const box of boxes) {
			box.y = low + high - box.y;
			box.rect.setAttribute("y", box.y);
			if (box.label)
				box.label.setAttribute("y", box.y + 11.5);
		}
		draw();
	}

	function make(tag, properties, parent) {
		return parent.appendChild(Object.assign(document.createElementNS(xhtml, tag), properties));
	}

	const holder = svg.appendChild(document.createElementNS(namespace, "foreignObject"));
	for (const [name, value] of [["x", svg.viewBox.baseVal.width - 420], ["y", 8], ["width", 410], ["height", 30]])
		holder.setAttribute(name, value);
	const ui = make("div", {className: "ui"}, holder);
	const resetButton = make("button", {textContent: "Reset zoom", disabled: true, id: "reset"}, ui);
	const turnButton = make("button", {textContent: inverted() ? "Flame" : "Icicle", id: "turn"}, ui);
	const input = make("input", {type: "search", placeholder: "Search (regex)  /", id: "search", spellcheck: false}, ui);

	resetButton.addEventListener("click", () => zoom(root));
	turnButton.addEventListener("click", () => {
		turn();
		turnButton.textContent = inverted() ? "Flame" : "Icicle";
	});
	input.addEventListener("input", () => {
		clearTimeout(waiting);
		if (boxes.length > 5000)
			waiting = setTimeout(search, 200);
		else
			search();
	});
	frames.addEventListener("click", event => {
		const box = byElement.get(event.target.closest("#frames > g"));
		if (box)
			zoom(box);
	});
	frames.addEventListener("mouseover", event => {
		const box = byElement.get(event.target.closest("#frames > g"));
		details.textContent = box ? textOf(box) : "";
	});
	frames.addEventListener("mouseleave", () => details.textContent = "");
	watchKeys(input, search, () => zoom(root));
})();
