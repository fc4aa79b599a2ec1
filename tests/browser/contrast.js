// Returns what is harder to read than WCAG's 4.5:1, as [text, ratio].
const parse = (colour) => {
  const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
  return { rgb: [r, g, b], a };
};
const luminance = (rgb) => {
  const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ratio = (one, two) => {
  const [low, high] = [luminance(one), luminance(two)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = parse(getComputedStyle(at).backgroundColor);
    if (colour.a === 1) return colour.rgb;
  }
  return [255, 255, 255];
};
const found = [];
for (const element of document.body.querySelectorAll("*")) {
  const own = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join("");
  if (!own || element.tagName === "title") continue;
  const style = getComputedStyle(element);
  let back = behind(element);
  if (element.tagName === "text") {
    const box = parse(getComputedStyle(element.previousElementSibling).fill);
    if (box.a === 1) back = box.rgb;
  }
  const measured = ratio(parse(element.tagName === "text" ? style.fill : style.color).rgb, back);
  if (measured < 4.5) found.push([own, measured]);
}
return found;
