"use strict";
// Zoomable pictures of power and spikes; everything they show is in the tables, too.
(() => {
  const data = JSON.parse(document.getElementById("session-data").textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const floats = (text) => new Float32Array(bytes(text));
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const first = (array, value) => {
    let low = 0, high = array.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (array[middle] < value) low = middle + 1; else high = middle;
    }
    return low;
  };

  const niceStep = (span, count) => {
    const raw = span / count, power = 10 ** Math.floor(Math.log10(raw));
    return [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  };

  const watts = (value) => {
    const size = Math.abs(value);
    if (size >= 1) return `${value.toPrecision(4)} W`;
    if (size >= 1e-3) return `${(value * 1e3).toPrecision(4)} mW`;
    return `${(value * 1e6).toPrecision(4)} µW`;
  };
  const seconds = (value, span) => {
    if (span < 2e-3) return `${(value * 1e6).toFixed(0)} µs`;
    if (span < 2) return `${(value * 1e3).toFixed(span < 0.02 ? 2 : 0)} ms`;
    return `${value.toFixed(span < 20 ? 2 : 1)} s`;
  };

  // A canvas with a time axis that zooms and moves; draw(context, view, box) paints the inside.
  const chart = (id, from, to, draw, describe) => {
    const canvas = document.getElementById(id);
    if (!canvas) return;
    const readout = document.getElementById(`${id}-readout`);
    const view = { t0: from, t1: to };
    const least = (to - from) * 1e-6;
    let pointer = null, waiting = false;

    const paint = () => {
      waiting = false;
      const ratio = window.devicePixelRatio || 1, frame = canvas.getBoundingClientRect();
      canvas.width = Math.round(frame.width * ratio);
      canvas.height = Math.round(frame.height * ratio);
      const context = canvas.getContext("2d");
      context.scale(ratio, ratio);
      context.font = "12px system-ui, sans-serif";
      const box = { x: 64, y: 8, w: frame.width - 72, h: frame.height - 36 };
      const span = view.t1 - view.t0, step = niceStep(span, Math.max(2, box.w / 110));
      context.strokeStyle = css("--line");
      context.fillStyle = css("--soft");
      context.textAlign = "center";
      for (let t = Math.ceil(view.t0 / step) * step; t <= view.t1; t += step) {
        const x = box.x + ((t - view.t0) / span) * box.w;
        context.beginPath(); context.moveTo(x, box.y); context.lineTo(x, box.y + box.h); context.stroke();
        context.fillText(seconds(t, span), x, box.y + box.h + 20);
      }
      draw(context, view, box);
      if (pointer !== null && pointer >= box.x && pointer <= box.x + box.w) {
        context.strokeStyle = css("--ink");
        context.globalAlpha = 0.55;
        context.beginPath(); context.moveTo(pointer, box.y); context.lineTo(pointer, box.y + box.h); context.stroke();
        context.globalAlpha = 1;
        readout.textContent = describe(view.t0 + ((pointer - box.x) / box.w) * span, span);
      } else {
        readout.textContent = "Move over the picture to read a value.";
      }
      canvas.dataset.drawnMs ??= performance.now().toFixed(0);
    };
    const later = () => { if (!waiting) { waiting = true; requestAnimationFrame(paint); } };
    const set = (t0, t1) => {
      const span = Math.min(Math.max(t1 - t0, least), to - from);
      view.t0 = Math.min(Math.max(t0, from), to - span);
      view.t1 = view.t0 + span;
      later();
    };
    const at = (x) => {
      const frame = canvas.getBoundingClientRect();
      return view.t0 + ((x - frame.left - 64) / (frame.width - 72)) * (view.t1 - view.t0);
    };
    const zoom = (centre, factor) =>
      set(centre - (centre - view.t0) * factor, centre + (view.t1 - centre) * factor);

    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      zoom(at(event.clientX), 1.2 ** Math.sign(event.deltaY));
    }, { passive: false });
    const held = new Map();
    canvas.addEventListener("pointerdown", (event) => {
      held.set(event.pointerId, event.clientX);
      canvas.setPointerCapture(event.pointerId);
    });
    const release = (event) => held.delete(event.pointerId);
    canvas.addEventListener("pointerup", release);
    canvas.addEventListener("pointercancel", release);
    canvas.addEventListener("pointerleave", () => { pointer = null; later(); });
    canvas.addEventListener("pointermove", (event) => {
      pointer = event.clientX - canvas.getBoundingClientRect().left;
      const before = held.get(event.pointerId);
      if (before !== undefined && held.size === 1) {
        const moved = at(before) - at(event.clientX);
        set(view.t0 + moved, view.t1 + moved);
      } else if (before !== undefined && held.size === 2) {
        const other = [...held.entries()].find(([id]) => id !== event.pointerId)[1];
        const now = Math.abs(event.clientX - other), then = Math.abs(before - other);
        if (now > 4 && then > 4) zoom(at((event.clientX + other) / 2), then / now);
      }
      if (before !== undefined) held.set(event.pointerId, event.clientX);
      later();
    });
    canvas.addEventListener("dblclick", () => set(from, to));
    canvas.addEventListener("keydown", (event) => {
      const span = view.t1 - view.t0, centre = (view.t0 + view.t1) / 2;
      const keys = {
        "+": () => zoom(centre, 1 / 1.5), "-": () => zoom(centre, 1.5), "0": () => set(from, to),
        ArrowLeft: () => set(view.t0 - span / 4, view.t1 - span / 4),
        ArrowRight: () => set(view.t0 + span / 4, view.t1 + span / 4),
      };
      if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
    });
    window.addEventListener("resize", later);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", later);
    later();
  };

  const axisOf = (context, box, low, high) => {
    const step = niceStep(high - low || 1, Math.max(2, box.h / 60));
    const y = (value) => box.y + box.h - ((value - low) / (high - low || 1)) * box.h;
    context.strokeStyle = css("--line");
    context.fillStyle = css("--soft");
    context.textAlign = "right";
    for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-6; value += step) {
      context.beginPath(); context.moveTo(box.x, y(value)); context.lineTo(box.x + box.w, y(value)); context.stroke();
      context.fillText(watts(value).replace(/\.?0+ /, " "), box.x - 6, y(value) + 4);
    }
    return y;
  };

  // Mean line and envelope; pixels that hold many buckets show all of them.
  const power = (trace) => (context, view, box) => {
    const begin = Math.max(0, first(trace.t, view.t0) - 1);
    const end = Math.min(trace.t.length, first(trace.t, view.t1) + 1);
    let low = Infinity, high = -Infinity;
    for (let i = begin; i < end; i++) {
      low = Math.min(low, trace.low[i]); high = Math.max(high, trace.high[i]);
    }
    if (!(high > low)) { low = Math.min(0, low); high = high || 1; }
    const pad = 0.06 * (high - low), y = axisOf(context, box, low - pad, high + pad);
    const x = (t) => box.x + ((t - view.t0) / (view.t1 - view.t0)) * box.w;
    context.save();
    context.beginPath(); context.rect(box.x, box.y, box.w, box.h); context.clip();
    context.fillStyle = css("--shade");
    for (const [a, b] of trace.windows) {
      if (b > view.t0 && a < view.t1) context.fillRect(x(a), box.y, Math.max(1, x(b) - x(a)), box.h);
    }
    const columns = new Map();
    for (let i = begin; i < end; i++) {
      const column = Math.floor(x(trace.t[i]));
      const seen = columns.get(column);
      if (!seen) columns.set(column, [trace.low[i], trace.high[i], trace.mean[i], 1]);
      else {
        seen[0] = Math.min(seen[0], trace.low[i]); seen[1] = Math.max(seen[1], trace.high[i]);
        seen[2] += trace.mean[i]; seen[3] += 1;
      }
    }
    context.fillStyle = css("--blue");
    context.globalAlpha = 0.28;
    for (const [column, [a, b]] of columns) context.fillRect(column, y(b), 1.5, Math.max(1, y(a) - y(b)));
    context.globalAlpha = 1;
    context.strokeStyle = css("--blue");
    context.lineWidth = 1.4;
    context.beginPath();
    let open = false, last = 0;
    for (const [column, [, , sum, n]] of columns) {
      const value = y(sum / n);
      if (open) { context.lineTo(column, last); context.lineTo(column, value); } else context.moveTo(column, value);
      open = true; last = value;
    }
    context.stroke();
    context.restore();
  };

  const readPower = (trace) => (t, span) => {
    const i = Math.max(0, Math.min(trace.t.length - 1, first(trace.t, t + 1e-12) - 1));
    return `t = ${seconds(t, span / 10)} · ${watts(trace.mean[i])} (${watts(trace.low[i])} to ${watts(trace.high[i])})`;
  };

  if (data.trace) {
    const trace = { windows: data.trace.windows }, width = data.trace.width_s;
    for (const key of ["low", "mean", "high"]) trace[key] = floats(data.trace[key]);
    trace.t = Float64Array.from(new Uint32Array(bytes(data.trace.index)), (i) => i * width);
    const end = trace.t[trace.t.length - 1] + width;
    chart("trace", trace.t[0], end, power(trace), readPower(trace));
  }

  if (data.close_up) {
    const near = data.close_up;
    const trace = { windows: near.steps.map((s) => [s[0], s[1]]) };
    trace.t = Float64Array.from(floats(near.after_s), (t) => near.begin_s + t);
    trace.low = trace.mean = trace.high = floats(near.power_w);
    const share = 0.6, neurons = near.neurons;
    const draw = (context, view, box) => {
      const top = { ...box, h: box.h * share - 12 };
      const below = { ...box, y: box.y + box.h * share, h: box.h * (1 - share) };
      const x = (t) => box.x + ((t - view.t0) / (view.t1 - view.t0)) * box.w;
      context.save();
      context.beginPath(); context.rect(box.x, top.y, box.w, top.h); context.clip();
      context.fillStyle = css("--spike");
      const size = Math.max(1.2, (top.h / neurons) * 0.8);
      near.steps.forEach(([begin, end, fired]) => {
        if (end < view.t0 || begin > view.t1) return;
        const width = Math.max(1.5, x(end) - x(begin));
        for (const neuron of fired) context.fillRect(x(begin), top.y + (neuron / neurons) * top.h, width, size);
      });
      context.restore();
      context.fillStyle = css("--soft");
      context.textAlign = "right";
      context.fillText(`${neurons}`, box.x - 6, top.y + 10);
      context.fillText("neurons", box.x - 6, top.y + top.h / 2);
      power(trace)(context, view, below);
    };
    const describe = (t, span) => {
      const step = near.steps.find(([begin, end]) => t >= begin && t <= end);
      const spikes = step ? ` · in a step, ${step[2].length} spikes` : "";
      return readPower(trace)(t, span) + spikes;
    };
    chart("close-up", trace.t[0], trace.t[trace.t.length - 1], draw, describe);
  }
})();
