// A small chart of rates: an hour at most, down as an area, up as a line. The sentence beside it says the same in words.

import { rate } from "./format.js";

const PAD = 4, SCALE_WIDTH = 74;

export function drawChart(canvas, { down, up, stepSeconds, points }) {
  const width = canvas.clientWidth, height = canvas.clientHeight, ratio = window.devicePixelRatio || 1;
  if (!width || !height) return;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d"), style = getComputedStyle(canvas), colour = (name) => style.getPropertyValue(name).trim();
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const shown = Math.min(points, Math.max(60, down.length)), highest = ceiling(Math.max(...down, ...up, 1000));
  const x = (place) => SCALE_WIDTH + ((width - SCALE_WIDTH - PAD) * (shown - down.length + place)) / (shown - 1);
  const y = (value) => PAD + (height - 20 - PAD) * (1 - value / highest);
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = colour("--soft");
  context.strokeStyle = colour("--line");
  context.lineWidth = 1;
  for (const part of [0, 0.5, 1]) {
    const level = Math.round(y(highest * part)) + 0.5;
    context.beginPath();
    context.moveTo(SCALE_WIDTH, level);
    context.lineTo(width - PAD, level);
    context.stroke();
    context.fillText(part ? rate(highest * part) : "0", 0, level + (part === 1 ? 9 : 4));
  }
  context.fillText(`${Math.round((shown * stepSeconds) / 60)} m ago`, SCALE_WIDTH, height - 4);
  context.textAlign = "right";
  context.fillText("now", width - PAD, height - 4);
  context.textAlign = "left";
  if (down.length < 2) return;
  const line = (list) => {
    context.beginPath();
    list.forEach((value, place) => context[place ? "lineTo" : "moveTo"](x(place), y(value)));
  };
  line(down);
  context.lineWidth = 1.5;
  context.strokeStyle = colour("--accent");
  context.stroke();
  context.lineTo(x(down.length - 1), y(0));
  context.lineTo(x(0), y(0));
  context.globalAlpha = 0.15;
  context.fillStyle = colour("--accent");
  context.fill();
  context.globalAlpha = 1;
  line(up);
  context.setLineDash([4, 3]);
  context.strokeStyle = colour("--handshaking");
  context.stroke();
  context.setLineDash([]);
}

// The next of 1, 2, 5, 10, … above
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((step) => step * power >= value);
}
